// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_DIST_IR_COLLECTIVEOPS_TD
#define TESSERA_DIST_IR_COLLECTIVEOPS_TD

include "mlir/IR/SymbolInterfaces.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/Dist/IR/DistAttrs.td"

// Collectives act in groups: the devices that differ only in their digits along
// `axes`, ordered by those digits, major to minor. Pure in the sense of values;
// every device must execute the same sequence, which holds because there is no
// control flow that differs between devices.
class Dist_Collective<string mnemonic, list<Trait> traits = []>
    : Dist_Op<mnemonic, !listconcat(
        [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>], traits)>;

def Dist_AllReduceOp : Dist_Collective<"all_reduce", [SameOperandsAndResultType]> {
  let summary = "Combines the terms of a group and leaves the result on each of its devices.";
  let description = [{
    `result[i] = kind over g in group of input_g[i]`, in the order of the group,
    so that every device gets the same bits. Terms of bf16 and f16 are combined
    in f32 and rounded once.

    ```mlir
    %1 = dist.all_reduce sum %0 over @mesh {tp} : tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<AnyStaticShapeTensor, "this device's term">:$input,
                       Arg<Dist_ReductionKindAttr, "how terms are combined">:$kind,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "axes of the group">:$axes,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<AnyStaticShapeTensor, "the combined value">:$result);
  let assemblyFormat = "`` $kind $input `over` $mesh $axes attr-dict `:` type($result)";
  let hasVerifier = 1;
}

def Dist_AllGatherOp : Dist_Collective<"all_gather"> {
  let summary = "Joins the group's chunks of one dimension on each of its devices.";
  let description = [{
    Concatenates the inputs along `dim` in group order and keeps the first
    `result.dim(dim)` elements: those beyond are padding of an uneven split.
    Chunks that a layout cut axis by axis from a size that does not divide hold
    padding in between: they need one op per axis, minor to major.

    ```mlir
    %1 = dist.all_gather %0 dim 1 over @mesh {tp} : tensor<2x3xf32> -> tensor<2x5xf32>
    ```
  }];
  let arguments = (ins Arg<AnyStaticShapeTensor, "this device's chunk">:$input,
                       Arg<I64Attr, "dimension that is joined">:$dim,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "axes of the group">:$axes,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<AnyStaticShapeTensor, "the joined value">:$result);
  let assemblyFormat = "$input `dim` $dim `over` $mesh $axes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Dist_AllSliceOp : Dist_Collective<"all_slice"> {
  let summary = "Keeps this device's chunk of a value that its group holds whole.";
  let description = [{
    No communication. Chunk g is elements [g*c, (g+1)*c) of `dim` with
    c = ceil(n/k); elements past the end are padding of unspecified value.
    Several axes cut once, into chunks of equal size: where n does not divide,
    a layout that cuts axis by axis needs one op per axis, major to minor.

    ```mlir
    %1 = dist.all_slice %0 dim 1 over @mesh {tp} : tensor<2x5xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<AnyStaticShapeTensor, "the whole value">:$input,
                       Arg<I64Attr, "dimension that is cut">:$dim,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "axes of the group">:$axes,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<AnyStaticShapeTensor, "this device's chunk">:$result);
  let assemblyFormat = "$input `dim` $dim `over` $mesh $axes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Dist_ReduceScatterOp : Dist_Collective<"reduce_scatter"> {
  let summary = "Combines the group's terms and leaves one chunk of the result on each device.";
  let description = [{
    Equals `all_slice(all_reduce(input))` over the same axes.

    ```mlir
    %1 = dist.reduce_scatter sum %0 dim 1 over @mesh {tp} : tensor<2x5xf32> -> tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<AnyStaticShapeTensor, "this device's term">:$input,
                       Arg<Dist_ReductionKindAttr, "how terms are combined">:$kind,
                       Arg<I64Attr, "dimension that is cut">:$dim,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "axes of the group">:$axes,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<AnyStaticShapeTensor, "this device's chunk">:$result);
  let assemblyFormat = "`` $kind $input `dim` $dim `over` $mesh $axes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Dist_AllToAllOp : Dist_Collective<"all_to_all"> {
  let summary = "Moves a split from one dimension to another.";
  let description = [{
    Equals `all_slice(all_gather(input) dim concat_dim) dim split_dim` over the
    same axes, padding included, without holding the whole value.

    ```mlir
    %1 = dist.all_to_all %0 split 0 concat 1 over @mesh {tp} : tensor<4x3xf32> -> tensor<2x6xf32>
    ```
  }];
  let arguments = (ins Arg<AnyStaticShapeTensor, "this device's chunk">:$input,
                       Arg<I64Attr, "dimension that is cut">:$split_dim,
                       Arg<I64Attr, "dimension that is joined">:$concat_dim,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<Dist_AxesAttr, "axes of the group">:$axes,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<AnyStaticShapeTensor, "this device's new chunk">:$result);
  let assemblyFormat = "$input `split` $split_dim `concat` $concat_dim `over` $mesh $axes attr-dict `:` type($input) `->` type($result)";
  let hasVerifier = 1;
}

def Dist_PermuteOp : Dist_Collective<"permute", [SameOperandsAndResultType]> {
  let summary = "Sends each device's value to another device.";
  let description = [{
    Of the devices of a group over `from`, the one of index i along `from` sends
    to the one of index i along `to`: the axes of both are the same digits of the
    devices' numbers in another order. What no order of axes says is given by
    `targets`: device `targets[d]` receives the input of device `d`, a permutation
    of all devices of the mesh.

    ```mlir
    %1 = dist.permute %0 over @mesh from {dp, tp} to {tp, dp} : tensor<2x3xf32>
    %2 = dist.permute %1 over @mesh to [0, 2, 1, 3] : tensor<2x3xf32>
    ```
  }];
  let arguments = (ins Arg<AnyStaticShapeTensor, "the value sent">:$input,
                       Arg<FlatSymbolRefAttr, "the mesh">:$mesh,
                       Arg<OptionalAttr<Dist_AxesAttr>, "axes of the group, in the order of the senders">:$from,
                       Arg<OptionalAttr<Dist_AxesAttr>, "the same axes in the order of the receivers">:$to,
                       Arg<OptionalAttr<DenseI64ArrayAttr>, "receiver of each device's value">:$targets,
                       OptionalAttr<Dist_WhyAttr>:$why);
  let results = (outs Res<AnyStaticShapeTensor, "the value received">:$result);
  let assemblyFormat = "$input `over` $mesh (`from` $from^ `to` $to) : (`to` $targets)? attr-dict `:` type($result)";
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The receiver of each device's value.
    std::vector<int64_t> getTargetsOn(const ::tessera::Mesh &mesh);
  }];
}

#endif // TESSERA_DIST_IR_COLLECTIVEOPS_TD
