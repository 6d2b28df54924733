// RUN: tessera-opt %s -emulate-nvvm -split-input-file -verify-diagnostics

gpu.module @kernels {
  llvm.func @cluster() attributes {nvvm.kernel} {
    // expected-error @below {{'nvvm.cluster.arrive' op is not modelled by the emulator, which knows thread and block ids, barriers, warp syncs, shuffles and products of warps}}
    nvvm.cluster.arrive
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @predicate(%mask: i32, %x: f32, %lane: i32) attributes {nvvm.kernel} {
    // expected-error @below {{'nvvm.shfl.sync' op has a predicate result, which is not modelled by the emulator}}
    %y = nvvm.shfl.sync idx %mask, %x, %lane, %lane {return_value_and_is_valid} : f32 -> !llvm.struct<(f32, i1)>
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @assembly() attributes {nvvm.kernel} {
    // expected-error @below {{'llvm.inline_asm' op is PTX, which the emulator cannot run: membar.gl;}}
    llvm.inline_asm has_side_effects "membar.gl;", "" : () -> ()
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @intrinsic() attributes {nvvm.kernel} {
    // expected-error @below {{'llvm.call_intrinsic' op calls llvm.nvvm.membar.cta, which is not modelled by the emulator}}
    llvm.call_intrinsic "llvm.nvvm.membar.cta"() : () -> ()
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @atomic(%p: !llvm.ptr, %x: i32) attributes {nvvm.kernel} {
    // expected-error @below {{'llvm.atomicrmw' op is not modelled by the emulator, whose race checks know plain accesses only}}
    %y = llvm.atomicrmw add %p, %x monotonic : !llvm.ptr, i32
    llvm.return
  }
}

// -----

gpu.module @kernels {
  llvm.func @tf32(%a: i32, %c: f32) attributes {nvvm.kernel} {
    // expected-error @below {{'nvvm.mma.sync' op is not modelled by the emulator, whose products are m16n8k16 of bf16 or f16 into f32}}
    %d = nvvm.mma.sync A[%a, %a, %a, %a] B[%a, %a] C[%c, %c, %c, %c] {layoutA = #nvvm.mma_layout<row>, layoutB = #nvvm.mma_layout<col>, multiplicandAPtxType = #nvvm.mma_type<tf32>, multiplicandBPtxType = #nvvm.mma_type<tf32>, shape = #nvvm.shape<m = 16, n = 8, k = 8>} : (i32, i32, f32) -> !llvm.struct<(f32, f32, f32, f32)>
    llvm.return
  }
}
