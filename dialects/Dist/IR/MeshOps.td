// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_DIST_IR_MESHOPS_TD
#define TESSERA_DIST_IR_MESHOPS_TD

include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Dist/IR/DistAttrs.td"

def Dist_MeshOp : Dist_Op<"mesh", [Symbol]> {
  let summary = "Names a mesh of devices.";
  let description = [{
    ```mlir
    dist.mesh @mesh <[dp = 2 : ib, tp = 4 : nvlink]>
    ```
  }];
  let arguments = (ins
    Arg<SymbolNameAttr, "name that types and collectives refer to">:$sym_name,
    Arg<Dist_MeshAttr, "the axes">:$mesh);
  let assemblyFormat = "$sym_name $mesh attr-dict";
  let extraClassDeclaration = [{
    /// The axes, with the symbol's name filled in.
    ::tessera::Mesh getPlainMesh();
  }];
}

// A number that depends on the device alone.
class Dist_DeviceQuery<string mnemonic>
    : Dist_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]>;

def Dist_AxisIndexOp : Dist_DeviceQuery<"axis_index"> {
  let summary = "Gives this device's linear index along a list of axes.";
  let description = [{
    Major to minor: for axes {a, b} the index is `coord(a) * size(b) + coord(b)`.

    ```mlir
    %0 = dist.axis_index @mesh {tp} : tensor<i32>
    ```
  }];
  let arguments = (ins Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "the axes">:$axes);
  let results = (outs Res<0DTensorOf<[I32]>, "the index">:$result);
  let assemblyFormat = "$mesh $axes attr-dict `:` type($result)";
}

def Dist_ValidExtentOp : Dist_DeviceQuery<"valid_extent"> {
  let summary = "Gives how many elements of an unevenly split dimension exist on this device.";
  let description = [{
    A dimension of logical size `size`, cut by `axes` in turn into chunks of
    ceil(n/k), is padded on the last devices; the first `result` elements exist.

    ```mlir
    %0 = dist.valid_extent @mesh {tp} of 7 : tensor<i32>
    ```
  }];
  let arguments = (ins Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "the axes, major to minor">:$axes,
                       Arg<I64Attr, "logical size, elements">:$size);
  let results = (outs Res<0DTensorOf<[I32]>, "the number of elements">:$result);
  let assemblyFormat = "$mesh $axes `of` $size attr-dict `:` type($result)";
}

def Dist_LocalOffsetOp : Dist_DeviceQuery<"local_offset"> {
  let summary = "Gives the logical index of this device's first element of a split dimension.";
  let description = [{
    ```mlir
    %0 = dist.local_offset @mesh {tp} of 7 : tensor<i32>
    ```
  }];
  let arguments = (ins Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "the axes, major to minor">:$axes,
                       Arg<I64Attr, "logical size, elements">:$size);
  let results = (outs Res<0DTensorOf<[I32]>, "the index">:$result);
  let assemblyFormat = "$mesh $axes `of` $size attr-dict `:` type($result)";
}

#endif // TESSERA_DIST_IR_MESHOPS_TD
