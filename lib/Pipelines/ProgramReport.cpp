// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "ProgramReport.h"

#include "dialects/Dist/IR/Boundary.h"
#include "dialects/Tessera/IR/Effects.h"

#include "llvm/Support/raw_ostream.h"

using namespace mlir;
using namespace tessera;
namespace json = llvm::json;

std::pair<std::string, int64_t> tessera::sourceOf(Location loc) {
  std::pair<std::string, int64_t> source{"", 0};
  loc->walk([&](Location part) {
    auto file = dyn_cast<FileLineColLoc>(part);
    if (!file)
      return WalkResult::advance();
    source = {file.getFilename().str(), file.getLine()};
    return WalkResult::interrupt();
  });
  return source;
}

SmallVector<StringRef> tessera::getCollectiveNames() {
  SmallVector<StringRef> names;
#define TESSERA_COLLECTIVE(NAME, TEXT, COMMUNICATES)                           \
  if (COMMUNICATES)                                                            \
    names.push_back(#TEXT);
#include "tessera/ABI/CollectiveKinds.inc"
  return names;
}

StringRef tessera::collectiveName(Operation *op) {
  std::optional<CollectiveKind> kind = dist::getCollectiveKind(op);
  if (!kind)
    return "";
  StringRef name = toString(*kind);
  return llvm::is_contained(getCollectiveNames(), name) ? name : "";
}

static void write(json::OStream &out, StringRef key, ArrayRef<int64_t> values) {
  out.attributeArray(key, [&] {
    for (int64_t value : values)
      out.value(value);
  });
}

static void write(json::OStream &out, StringRef key, ArrayAttr strings) {
  out.attributeArray(key, [&] {
    for (Attribute attr : strings)
      if (auto text = dyn_cast<StringAttr>(attr))
        out.value(text.getValue());
  });
}

static void writeSource(json::OStream &out, Location loc) {
  auto [file, line] = sourceOf(loc);
  out.attribute("file", file);
  out.attribute("line", line);
}

static std::string typeName(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

namespace {
/// Names of element types. Printing a type prepares for a whole program, which
/// takes longer than all else that is told of an argument.
class TypeNames {
public:
  StringRef of(Type type) {
    std::string &name = names[type];
    if (name.empty())
      name = typeName(type);
    return name;
  }

private:
  llvm::DenseMap<Type, std::string> names;
};
} // namespace

static int64_t bytesOf(Type type) {
  auto shaped = cast<ShapedType>(type);
  return shaped.getNumElements() * ((shaped.getElementTypeBitWidth() + 7) / 8);
}

namespace {
/// How often an op runs each time that the program does. The iterations of a
/// while loop depend on values and count as one.
struct Runs {
  int64_t count = 1;
  bool isKnown = true;
};
} // namespace

static Runs runsOf(Operation *op) {
  Runs runs;
  for (Region *region = op->getParentRegion(); region;
       region = region->getParentRegion()) {
    auto flow = dyn_cast<DataFlowInterface>(region->getParentOp());
    if (!flow)
      continue;
    std::optional<int64_t> trips = flow.getTripCount(region);
    runs.isKnown &= trips.has_value();
    runs.count *= trips.value_or(1);
  }
  return runs;
}

static void describeCollective(json::OStream &out, Operation *op) {
  out.attribute("kind", collectiveName(op));
  Runs runs = runsOf(op);
  out.attribute("count", runs.count);
  out.attribute("isCountKnown", runs.isKnown);
  auto input = cast<RankedTensorType>(op->getOperand(0).getType());
  write(out, "shape", input.getShape());
  out.attribute("dtype", typeName(input.getElementType()));
  if (auto reduction = op->getAttrOfType<dist::ReductionKindAttr>("kind"))
    out.attribute("reduction",
                  dist::stringifyReductionKind(reduction.getValue()));
  int64_t groupSize = 1;
  auto meshName = op->getAttrOfType<FlatSymbolRefAttr>("mesh");
  std::optional<Mesh> mesh = dist::lookupMesh(op, meshName.getValue());
  out.attributeArray("axes", [&] {
    if (auto attr = op->getAttrOfType<dist::AxesAttr>("axes"))
      for (const AxisRef &axis : attr.getValue()) {
        out.value(toString(axis));
        if (mesh)
          groupSize *= axis.sizeOn(*mesh);
      }
  });
  out.attribute("groupSize", groupSize);
  auto why = op->getAttrOfType<dist::WhyAttr>("why");
  out.attribute("bytes", why ? why.getBytes() : bytesOf(input));
  out.attribute("estimatedNs", why ? why.getEstimatedNs() : 0);
  if (why) {
    out.attribute("rule", why.getRule().getValue());
    write(out, "origins", why.getOrigins());
    write(out, "alternatives", why.getAlternatives());
  }
  writeSource(out, op->getLoc());
}

/// What a barrier before a recomputation says of its checkpoint.
static void describeCheckpoint(json::OStream &out, BarrierOp op) {
  auto why = op->getAttrOfType<DictionaryAttr>(recomputationAttrName);
  Runs runs = runsOf(op);
  out.attribute("count", runs.count);
  out.attribute("isCountKnown", runs.isKnown);
  writeSource(out, op.getLoc());
  if (auto policy = why.getAs<StringAttr>("policy"))
    out.attribute("policy", policy.getValue());
  if (auto bytes = why.getAs<IntegerAttr>("bytes"))
    out.attribute("bytes", bytes.getInt());
  if (auto flops = why.getAs<FloatAttr>("flops"))
    out.attribute("flops", flops.getValueAsDouble());
  if (auto kept = why.getAs<ArrayAttr>("kept"))
    write(out, "kept", kept);
}

/// An argument or result of the entry.
static void describeBoundary(json::OStream &out, Type type,
                             DictionaryAttr attributes,
                             const Twine &defaultName, TypeNames &names) {
  auto local = cast<RankedTensorType>(type);
  auto name =
      attributes ? attributes.getAs<StringAttr>("tessera.name") : nullptr;
  dist::Boundary boundary = dist::readBoundary(attributes);
  ArrayRef<int64_t> shape = local.getShape();
  if (boundary.globalType)
    shape = cast<ShapedType>(boundary.globalType.getValue()).getShape();
  out.attribute("name", name ? name.getValue().str() : defaultName.str());
  write(out, "shape", shape);
  out.attribute("dtype", names.of(local.getElementType()));
  write(out, "localShape", local.getShape());
  if (boundary.layout)
    out.attribute("layout", boundary.layout.getValue().str());
}

void tessera::reportLocalProgram(func::FuncOp entry, Report &report) {
  SmallVector<Operation *> collectives;
  SmallVector<BarrierOp> recomputations;
  double flops = 0, bytes = 0;
  bool isKnown = true;
  entry.walk([&](Operation *op) {
    if (!collectiveName(op).empty())
      collectives.push_back(op);
    if (auto barrier = dyn_cast<BarrierOp>(op))
      if (op->hasAttrOfType<DictionaryAttr>(recomputationAttrName))
        recomputations.push_back(barrier);
    auto compute = dyn_cast<FactorRuleInterface>(op);
    if (!compute)
      return;
    Runs runs = runsOf(op);
    isKnown &= runs.isKnown;
    flops += compute.getFlops() * runs.count;
    for (Type type : op->getOperandTypes())
      bytes += double(bytesOf(type)) * runs.count;
    for (Type type : op->getResultTypes())
      bytes += double(bytesOf(type)) * runs.count;
  });
  auto setArray = [&](StringRef key, auto range, auto describe) {
    report.set(key, [&](json::OStream &out) {
      out.array([&] {
        for (auto element : range)
          out.object([&] { describe(out, element); });
      });
    });
  };
  setArray("collectives", ArrayRef(collectives), describeCollective);
  setArray("checkpoints", ArrayRef(recomputations), describeCheckpoint);
  TypeNames names;
  setArray("arguments", llvm::seq(entry.getNumArguments()),
           [&](json::OStream &out, unsigned i) {
             describeBoundary(out, entry.getArgumentTypes()[i],
                              entry.getArgAttrDict(i), "arg" + Twine(i), names);
           });
  setArray("results", llvm::seq(entry.getNumResults()),
           [&](json::OStream &out, unsigned i) {
             describeBoundary(out, entry.getResultTypes()[i],
                              entry.getResultAttrDict(i), "result" + Twine(i),
                              names);
           });
  report.set("flops", flops);
  report.set("bytes", bytes);
  report.set("areIterationsKnown", isKnown);
}
