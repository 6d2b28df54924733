// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A stand-in for libcuda.so.1 that computes in host memory, so that the cuda
// device's code is run without a GPU. It is as strict as the driver is allowed
// to be: work on a stream is done as late as possible, every call but a few
// needs a current context, handles are checked.
#ifndef TESSERA_TEST_RUNTIME_FAKECUDA_H
#define TESSERA_TEST_RUNTIME_FAKECUDA_H

#include <map>
#include <string>
#include <vector>

namespace tessera::test {

struct FakeCuda {
  // What the machine is like.
  int gpus = 2;
  int major = 9, minor = 0;
  int sharedBytes = 227 * 1024; ///< Most that a block can have.
  /// Streams never become ready.
  bool hangs = false;
  /// The n-th call from now (0: the next one) of a function returns the code.
  struct Failure {
    int after = 0;
    int code = 0;
  };
  std::map<std::string, Failure> failures;

  // What happened.
  std::vector<std::string> calls;
  /// Memory, streams, modules and retained contexts not given back.
  int live = 0;
  size_t contextDepth = 0; ///< Contexts pushed by this thread.

  void reset() { *this = FakeCuda(); }
};

/// The name of the library's function that returns its FakeCuda.
constexpr char fakeCudaAccessor[] = "tesseraFakeCuda";

} // namespace tessera::test

#endif // TESSERA_TEST_RUNTIME_FAKECUDA_H
