// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_TESSERA_IR_TESSERAINTERFACES_TD
#define TESSERA_TESSERA_IR_TESSERAINTERFACES_TD

include "mlir/IR/OpBase.td"

def Tessera_FactorRuleInterface : OpInterface<"FactorRuleInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    The op's index space and how its operands and results map to it.
  }];
  let methods = [
    InterfaceMethod<[{The factor rule of this op for operands and results of
        these shapes. They are those of the op's types, or the logical shapes
        where a pass has made the operands local already.}],
        "::tessera::FactorRule", "getFactorRuleFor",
        (ins "const ::tessera::OpShapes &":$shapes)>,
    InterfaceMethod<[{Floating-point operations of one execution at the op's
        own shapes (a multiply-add counts as 2); 0 for data movement.}],
        "double", "getFlops", (ins), [{}], [{
          double elements = 1;
          auto type = ::llvm::cast<::mlir::ShapedType>($_op->getResult(0).getType());
          for (int64_t size : type.getShape())
            elements *= size;
          return elements;
        }]>,
    InterfaceMethod<[{The round of propagation in which axes spread over this
        op: one-to-one ops decide first, then ops that combine elements, then
        ops that add dimensions.}],
        "::tessera::PropagationRound", "getPropagationRound", (ins), [{}], [{
          return ::tessera::PropagationRound::Elementwise;
        }]>,
  ];
  let extraSharedClassDeclaration = [{
    /// The factor rule at the shapes of the op's own types.
    ::tessera::FactorRule getFactorRule() {
      return $_op.getFactorRuleFor(::tessera::opShapesOf($_op.getOperation()));
    }
  }];
}

def Tessera_ExpansionInterface : OpInterface<"ExpansionInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    An op that can be computed in another way: by the simpler ops that
    `tessera-decompose-ops` writes for it, which have factor rules of their own,
    or as itself, by an attribute that changes its rule. Where a dimension that the op needs whole is split,
    `tessera-choose-expansions` compares what the two ways communicate.
  }];
  let methods = [
    InterfaceMethod<[{Whether the expansion may stand for the op at these shapes:
        no value in it is much larger than what the op itself reads.}],
        "bool", "isExpandable", (ins), [{}], [{ return true; }]>,
    InterfaceMethod<[{Makes the op one that is computed in the other way, and
        returns true, where that is the op itself with another rule; the default
        leaves it to tessera-decompose-ops.}],
        "bool", "expandInPlace", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{What the op, whose layouts are closed, moves between
        devices by itself; nothing by default.}],
        "std::optional<::tessera::Exchange>", "getExchange",
        (ins "const ::tessera::Mesh &":$mesh), [{}], [{ return std::nullopt; }]>,
  ];
}

def Tessera_LocaliseInterface : OpInterface<"LocaliseInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    How an op on whole tensors becomes the op on one device's part of them.
    `tessera-partition` makes the operands local, calls `localiseOperands`,
    makes the result types local and calls `localiseResults`. The builder of
    `parts` inserts before the op.
  }];
  let methods = [
    InterfaceMethod<[{Replaces operands whose padding, or whose logical
        indices, would be wrong for the part. By default, padding along
        dimensions that `rule` reduces becomes the neutral element.}],
        "void", "localiseOperands",
        (ins "const ::tessera::FactorRule &":$rule,
             "::tessera::LocalValues &":$parts), [{}], [{
          parts.maskReducedPadding($_op.getOperation(), rule);
        }]>,
    InterfaceMethod<[{Adjusts attributes and offsets that depend on sizes or
        positions in the logical result. By default there are none.}],
        "::llvm::LogicalResult", "localiseResults",
        (ins "::tessera::LocalValues &":$parts), [{}], [{
          return ::mlir::success();
        }]>,
  ];
}

def Tessera_ResultTypeInterface : OpInterface<"ResultTypeInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    The one place that computes an op's result type from its operands and
    attributes: verifiers compare the declared type with it, and `createInferred`
    and `FormulaBuilder` build ops by it. The layout of a result is open.
  }];
  let methods = [
    InterfaceMethod<[{Shape and element type of the result, as far as operands
        and attributes decide them; the operands have been verified.}],
        "::tessera::InferredType", "inferResultType", (ins)>,
  ];
}

def Tessera_KernelInterface : OpInterface<"KernelInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    What the forming of kernels and the placing of reshards need to know of an
    op: its part in a kernel, and what its result costs.
  }];
  let methods = [
    InterfaceMethod<"The part that this op has in a kernel.",
        "::tessera::KernelRole", "getKernelRole", (ins)>,
    InterfaceMethod<[{Instructions per result element, roughly: 1 for an
        addition of floats. Above `expensiveElement`, computing an element twice
        costs more than reading it.}],
        "int64_t", "getElementCost", (ins), [{}], [{ return 1; }]>,
    InterfaceMethod<[{Whether every user may have a result of its own: making
        an element again costs no more than reading it.}],
        "bool", "isCheapToClone", (ins), [{}], [{ return false; }]>,
    InterfaceMethod<[{Elements of the longest row that one block of a kernel
        must hold whole; 0 where a block may be of any size.}],
        "int64_t", "getWholeElements", (ins), [{}], [{ return 0; }]>,
  ];
}

def Tessera_DataFlowInterface : OpInterface<"DataFlowInterface"> {
  let cppNamespace = "::tessera";
  let description = [{
    Which values of an op are one and the same as control passes through it.
    Passes see into regions by this interface alone: propagation and resharding
    give all ends of an edge one layout, the interpreter and the stage contracts
    check them, and messages name values by their edge.
  }];
  let methods = [
    InterfaceMethod<[{Every value that enters, stays in or leaves the op, once:
        an operand, a block argument, a terminator's operand and a result are
        each the end of one edge, or one of the control values below.}],
        "::llvm::SmallVector<::tessera::DataFlowEdge>", "getDataFlowEdges", (ins)>,
    InterfaceMethod<[{Operands, of the op or of terminators, that decide which
        region runs: whole on every device.}],
        "::llvm::SmallVector<::mlir::OpOperand *>", "getControlOperands", (ins),
        [{}], [{ return {}; }]>,
    InterfaceMethod<[{Block arguments that the op makes itself, such as the
        index of an iteration: whole on every device.}],
        "::llvm::SmallVector<::mlir::Value>", "getControlValues", (ins),
        [{}], [{ return {}; }]>,
    InterfaceMethod<[{How often `region` runs each time the op does (of branches
        one does); nullopt where that depends on values.}],
        "std::optional<int64_t>", "getTripCount", (ins "::mlir::Region *":$region),
        [{}], [{ return 1; }]>,
  ];
}

#endif // TESSERA_TESSERA_IR_TESSERAINTERFACES_TD
