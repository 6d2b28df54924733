// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_PLANINTERFACES_TD
#define TESSERA_PLAN_IR_PLANINTERFACES_TD

include "mlir/IR/OpBase.td"

def Plan_AsyncStepInterface : OpInterface<"AsyncStepInterface"> {
  let cppNamespace = "::tessera::plan";
  let description = [{
    A step that need not be complete when the next one begins. One with a `token`
    begins when the steps before it are complete, and when those before it in the
    same `stream` that have tokens are. It is complete at the plan.await of its
    token, in the same block; until then no step writes what it reads, or reads
    or writes what it writes, and its buffers stay allocated. To complete it at
    once is right too.
  }];
  let methods = [
    InterfaceMethod<"Its token, above 0; without one the step is complete when the next begins.",
                    "std::optional<uint32_t>", "getToken">,
    InterfaceMethod<"The stream of a step with a token, 0 where none is given.",
                    "std::optional<uint32_t>", "getStream">,
  ];
  let verify = [{ return ::tessera::plan::verifyAsyncStep($_op); }];
}

#endif // TESSERA_PLAN_IR_PLANINTERFACES_TD
