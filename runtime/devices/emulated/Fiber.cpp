// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Fiber.h"

#include <cstdint>
#include <sys/mman.h>
#include <unistd.h>

namespace tessera::emulated {

// A switch saves the callee-saved registers of the platform's calling
// convention on the running stack, exchanges stack pointers, and restores. The
// C library's swapcontext does a system call besides, 20 times slower.
#if defined(__x86_64__)
asm(R"(
.text
.type tessera_switch_stack, @function
.hidden tessera_switch_stack
tessera_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size tessera_switch_stack, .-tessera_switch_stack

.type tessera_start_fiber, @function
.hidden tessera_start_fiber
tessera_start_fiber:
  movq %r12, %rdi
  xorl %ebp, %ebp
  callq *%r13
  ud2
.size tessera_start_fiber, .-tessera_start_fiber
)");
#elif defined(__aarch64__)
asm(R"(
.text
.type tessera_switch_stack, %function
.hidden tessera_switch_stack
tessera_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size tessera_switch_stack, .-tessera_switch_stack

.type tessera_start_fiber, %function
.hidden tessera_start_fiber
tessera_start_fiber:
  mov x0, x19
  mov x29, xzr
  blr x20
  brk #1
.size tessera_start_fiber, .-tessera_start_fiber
)");
#else
#error "the emulator needs a stack switch for this processor"
#endif

extern "C" void tessera_switch_stack(void **saved, void *next);
extern "C" void tessera_start_fiber();

void switchFiber(FiberContext &from, FiberContext &to) {
  from.sanitizer.leave(to.sanitizer);
  tessera_switch_stack(&from.stackPointer, to.stackPointer);
  from.sanitizer.resume();
}

/// The first function on a fiber's stack.
static void runFiber(void *self) {
  auto &context = *static_cast<FiberContext *>(self);
  context.sanitizer.resume();
  context.entry(context.argument);
  context.sanitizer.leaveForGood(context.next->sanitizer);
  tessera_switch_stack(&context.stackPointer, context.next->stackPointer);
}

void prepareFiber(FiberContext &context, void *stack, size_t size,
                  void (*entry)(void *), void *argument, FiberContext &next) {
  context.entry = entry;
  context.argument = argument;
  context.next = &next;
  context.sanitizer.prepare(stack, size);
  auto top = reinterpret_cast<uintptr_t>(stack) + size;
  top &= ~uintptr_t(63);
#if defined(__x86_64__)
  // What the first switch pops: r15 r14 r13 r12 rbx rbp, then the return
  // address. At tessera_start_fiber the stack pointer is top - 16: aligned to
  // 16 bytes, as it must be before a call.
  auto *frame = reinterpret_cast<uintptr_t *>(top) - 9;
  frame[0] = 0;                                      // r15
  frame[1] = 0;                                      // r14
  frame[2] = reinterpret_cast<uintptr_t>(&runFiber); // r13
  frame[3] = reinterpret_cast<uintptr_t>(&context);  // r12
  frame[4] = 0;                                      // rbx
  frame[5] = 0;                                      // rbp
  frame[6] = reinterpret_cast<uintptr_t>(&tessera_start_fiber);
#else
  auto *frame = reinterpret_cast<uintptr_t *>(top - 160);
  for (int i = 0; i < 20; ++i)
    frame[i] = 0;
  frame[0] = reinterpret_cast<uintptr_t>(&context);              // x19
  frame[1] = reinterpret_cast<uintptr_t>(&runFiber);             // x20
  frame[11] = reinterpret_cast<uintptr_t>(&tessera_start_fiber); // x30
#endif
  context.stackPointer = frame;
}

FiberStacks::FiberStacks(size_t count, size_t bytesEach)
    : numStacks(count), base(nullptr) {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  usableBytes = (bytesEach + page - 1) / page * page;
  stride = usableBytes + page;
  void *memory = mmap(nullptr, stride * count, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED)
    return;
  base = static_cast<char *>(memory);
  for (size_t i = 0; i < count; ++i)
    mprotect(base + i * stride, page, PROT_NONE);
}

FiberStacks::~FiberStacks() {
  if (base)
    munmap(base, stride * numStacks);
}

void *FiberStacks::stack(size_t index) const {
  return base + index * stride + (stride - usableBytes);
}

} // namespace tessera::emulated
