// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#ifndef TESSERA_PLAN_IR_PLANTYPES_TD
#define TESSERA_PLAN_IR_PLANTYPES_TD

include "dialects/Plan/IR/PlanDialect.td"

def Plan_BufferType : TypeDef<Plan_Dialect, "Buffer"> {
  let mnemonic = "buffer";
  let summary = "Memory on each device.";
  let description = "`!plan.buffer<24>`: 24 bytes.";
  let parameters = (ins "int64_t":$bytes);
  let assemblyFormat = "`<` $bytes `>`";
  let genVerifyDecl = 1;
}

#endif // TESSERA_PLAN_IR_PLANTYPES_TD
