// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "CodeGeneration.h"

#include "tessera/Target/CPU.h"
#include "tessera/Target/PTX.h"
#include "tessera/Target/Passes.h"

#include "mlir/Dialect/GPU/IR/GPUDialect.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Pass/PassManager.h"

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

static FailureOr<gpu::GPUModuleOp> findGPUModule(ModuleOp module) {
  for (auto gpuModule : module.getOps<gpu::GPUModuleOp>())
    return gpuModule;
  module.emitError() << "has no gpu.module; run convert-tile-to-nvvm";
  return failure();
}

FailureOr<std::string> tessera::generatePTX(ModuleOp module,
                                            const Target &target) {
  FailureOr<gpu::GPUModuleOp> gpuModule = findGPUModule(module);
  if (failed(gpuModule))
    return failure();
  return translateToPTX(*gpuModule, target.chip);
}

/// Kernels are the functions with a body that others can call.
static void describeKernel(LLVM::LLVMFuncOp function, CodeObjects &code) {
  KernelCode &kernel = code.kernels[function.getSymName()];
  kernel.symbol = function.getSymName().str();
  if (auto threads = function->getAttrOfType<DenseI32ArrayAttr>("nvvm.reqntid"))
    kernel.threads = threads[0];
  if (auto shared =
          function->getAttrOfType<IntegerAttr>("tessera.shared_bytes"))
    kernel.sharedBytes = shared.getInt();
  if (auto stack = function->getAttrOfType<IntegerAttr>("tessera.stack_bytes"))
    kernel.stackBytes = stack.getInt();
}

static LogicalResult generateCubin(ModuleOp module, const Target &target,
                                   CodeObjects &code) {
  FailureOr<std::string> ptx = generatePTX(module, target);
  if (failed(ptx))
    return failure();
  FailureOr<Cubin> cubin = assembleCubin(*ptx, target.chip, module.getLoc());
  if (failed(cubin))
    return failure();
  code.objects.emplace_back(cubin->bytes.begin(), cubin->bytes.end());
  for (const KernelResources &resources : cubin->kernels) {
    KernelCode &kernel = code.kernels[resources.name];
    kernel.symbol = resources.name;
    kernel.registers = resources.registers;
    kernel.spillBytes = resources.spillStoreBytes;
    kernel.sharedBytes =
        std::max<int64_t>(kernel.sharedBytes, resources.sharedBytes);
  }
  return success();
}

StringRef tessera::cpuOf(const CompileOptions &options) {
  const Target &target = options.target;
  return target.kind == Target::Kind::CPU && !target.chip.empty()
             ? StringRef(target.chip)
             : "native";
}

/// Compiles `module`, of stage `llvm`, or of `nvvm` for the emulator.
static LogicalResult generateHostObject(ModuleOp module,
                                        const CompileOptions &options,
                                        CodeObjects &code) {
  CPUOptions cpuOptions;
  cpuOptions.cpu = cpuOf(options).str();
  cpuOptions.jobs = options.jobs;
  std::string problem;
  std::optional<CPUDescription> cpu = describeCPU(cpuOptions.cpu, problem);
  if (!cpu)
    return module.emitError(problem);
  code.architecture = cpu->architecture;
  code.cpuFeatures = cpu->features;

  OwningOpRef<ModuleOp> host = module.clone();
  if (options.target.kind == Target::Kind::Emulated) {
    PassManager manager(module.getContext(), ModuleOp::getOperationName());
    manager.addPass(createEmulateNVVM());
    if (failed(manager.run(*host)))
      return failure();
  }
  FailureOr<SmallVector<char>> object = emitSharedObject(*host, cpuOptions);
  if (failed(object))
    return failure();
  code.objects.emplace_back(object->begin(), object->end());
  return success();
}

LogicalResult tessera::generateCode(ModuleOp module,
                                    const CompileOptions &options,
                                    CodeObjects &code, Report &report) {
  const Target &target = options.target;
  code.target = target.str();
  if (target.kind == Target::Kind::CPU) {
    for (auto function : module.getOps<LLVM::LLVMFuncOp>())
      if (!function.isExternal() &&
          function.getLinkage() == LLVM::Linkage::External)
        describeKernel(function, code);
  } else {
    FailureOr<gpu::GPUModuleOp> gpuModule = findGPUModule(module);
    if (failed(gpuModule))
      return failure();
    for (auto function : gpuModule->getOps<LLVM::LLVMFuncOp>())
      if (function->hasAttr("nvvm.kernel"))
        describeKernel(function, code);
  }

  if (failed(target.kind == Target::Kind::CUDA
                 ? generateCubin(module, target, code)
                 : generateHostObject(module, options, code)))
    return failure();

  SmallVector<StringRef> names(code.kernels.keys());
  llvm::sort(names);
  json::Array kernels;
  for (StringRef name : names) {
    const KernelCode &kernel = code.kernels[name];
    kernels.push_back(json::Object{{"name", name.str()},
                                   {"registers", kernel.registers},
                                   {"spillBytes", kernel.spillBytes},
                                   {"sharedBytes", kernel.sharedBytes},
                                   {"threads", kernel.threads}});
  }
  report.set("kernels", std::move(kernels));
  return success();
}
