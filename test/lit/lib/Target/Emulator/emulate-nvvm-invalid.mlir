// RUN: tessera-opt %s -emulate-nvvm -verify-diagnostics

gpu.module @kernels {
  llvm.func @cluster() attributes {nvvm.kernel} {
    // expected-error @below {{the emulator does not model this op; it knows thread and block ids, barriers, warp syncs and shuffles}}
    nvvm.cluster.arrive
    llvm.return
  }
}
