// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CPUKernelTesting.h"

#include "dialects/Tile/IR/Tile.h"
#include "tessera/Conversion/Passes.h"
#include "tessera/Target/CPU.h"

#include "mlir/Parser/Parser.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <random>

using namespace mlir;
using namespace tessera;
using namespace tessera::testing;

Floats tessera::testing::random(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  Floats values(count);
  for (float &value : values)
    value = uniform(generator);
  return values;
}

std::vector<std::string> tessera::testing::targets() {
  std::string error;
  std::optional<CPUDescription> native = describeCPU("native", error);
  std::vector<std::string> names = {"native"};
  auto has = [&](const char *feature) {
    return llvm::is_contained(native->features, feature);
  };
  if (native->architecture == "x86_64")
    names.push_back("x86-64");
  if (has("avx2") && has("fma") && has("bmi2") && has("movbe"))
    names.push_back("x86-64-v3");
  return names;
}

void tessera::testing::runKernel(const std::string &source, const char *kernel,
                                 int64_t blocks,
                                 std::vector<Floats *> arguments,
                                 const std::string &cpu, int64_t vectorBits) {
  std::string error;
  std::optional<CPUDescription> description = describeCPU(cpu, error);
  ASSERT_TRUE(description) << error;
  MLIRContext context;
  context.loadDialect<tile::TileDialect>();
  auto module = parseSourceString<ModuleOp>(source, &context);
  ASSERT_TRUE(module);
  PassManager pipeline(&context);
  ConvertTileToCPUOptions options;
  options.vectorBits = vectorBits ? vectorBits : description->vectorBits;
  pipeline.addPass(createConvertTileToCPU(options));
  ASSERT_TRUE(succeeded(pipeline.run(*module)));
  CPUOptions cpuOptions;
  cpuOptions.cpu = cpu;
  FailureOr<SmallVector<char>> object = emitSharedObject(*module, cpuOptions);
  ASSERT_TRUE(succeeded(object));
  SmallString<64> path;
  ASSERT_FALSE(llvm::sys::fs::createTemporaryFile("kernel", "so", path));
  {
    std::error_code error;
    llvm::raw_fd_ostream stream(path, error);
    stream.write(object->data(), object->size());
  }
  void *library = dlopen(path.c_str(), RTLD_NOW);
  llvm::sys::fs::remove(path);
  ASSERT_TRUE(library) << dlerror();
  using Kernel = void (*)(void *const *, int64_t, int64_t);
  auto function = reinterpret_cast<Kernel>(dlsym(library, kernel));
  ASSERT_TRUE(function);
  std::vector<void *> pointers;
  for (Floats *argument : arguments)
    pointers.push_back(argument->data());
  function(pointers.data(), 0, blocks);
  dlclose(library);
}
