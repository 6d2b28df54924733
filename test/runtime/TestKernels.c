// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Kernels as the compiler would write them, for plans made by hand. The same
// source makes the cpu object and, with TESSERA_TEST_EMULATED, the emulated
// one, where one thread of a block does one element.
#include <stdint.h>

enum { blockSize = 4 };

#ifdef TESSERA_TEST_EMULATED

struct Table {
  int64_t version;
  int32_t (*readRegister)(int32_t which);
  void (*barrier)(int32_t, int32_t);
  void (*syncWarp)(int32_t);
  int32_t (*shuffle)(int32_t, int32_t, int32_t, int32_t, int32_t);
  void *(*sharedMemory)(void);
  void (*checkAccess)(const void *, int64_t, int32_t);
};
const struct Table *tessera_emu_table;

/// y[i] = x[i] + 1 of blocks of 4 elements.
void add_one(void *const *args) {
  const int32_t tidX = 0, ctaidX = 6;
  int32_t i = tessera_emu_table->readRegister(ctaidX) * blockSize +
              tessera_emu_table->readRegister(tidX);
  const float *x = (const float *)args[0] + i;
  float *y = (float *)args[1] + i;
  tessera_emu_table->checkAccess(x, 4, 0);
  tessera_emu_table->checkAccess(y, 4, 1);
  *y = *x + 1;
}

/// y[x[0]] = x[1], unchecked by the kernel itself. One block of any size.
void store_at(void *const *args) {
  const int32_t tidX = 0;
  if (tessera_emu_table->readRegister(tidX) != 0)
    return;
  const float *x = (const float *)args[0];
  float *y = (float *)args[1] + (int32_t)x[0];
  tessera_emu_table->checkAccess(x, 8, 0);
  tessera_emu_table->checkAccess(y, 4, 1);
  *y = x[1];
}

#else

void add_one(void *const *args, int64_t begin, int64_t end) {
  for (int64_t i = begin * blockSize; i < end * blockSize; ++i)
    ((float *)args[1])[i] = ((const float *)args[0])[i] + 1;
}

#endif
