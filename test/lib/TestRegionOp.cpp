// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A dialect of one op with a region that no pass knows. Every pass must say so
// and never walk past it.
#include "test/lib/TestPasses.h"

#include "mlir/IR/Dialect.h"
#include "mlir/IR/DialectRegistry.h"
#include "mlir/IR/OpDefinition.h"

using namespace mlir;

namespace {
/// `"testing.region"(%x) ({ ... }) : (T) -> T`, in the generic form only.
class RegionOp
    : public Op<RegionOp, OpTrait::OneRegion, OpTrait::VariadicResults,
                OpTrait::VariadicOperands, OpTrait::NoTerminator> {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(RegionOp)
  using Op::Op;
  static StringRef getOperationName() { return "testing.region"; }
  static ArrayRef<StringRef> getAttributeNames() { return {}; }
};

class TestingDialect : public Dialect {
public:
  MLIR_DEFINE_EXPLICIT_INTERNAL_INLINE_TYPE_ID(TestingDialect)
  explicit TestingDialect(MLIRContext *context)
      : Dialect(getDialectNamespace(), context, TypeID::get<TestingDialect>()) {
    addOperations<RegionOp>();
  }
  static StringRef getDialectNamespace() { return "testing"; }
};
} // namespace

void tessera::test::registerTestingDialect(DialectRegistry &registry) {
  registry.insert<TestingDialect>();
}
