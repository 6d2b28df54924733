// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Report.h"

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
  StringRef name = kind ? toString(*kind) : "";
  return llvm::is_contained(getCollectiveNames(), name) ? name : "";
}

static json::Array toJSON(ArrayRef<int64_t> values) {
  json::Array array;
  for (int64_t value : values)
    array.push_back(value);
  return array;
}

static json::Array toJSON(ArrayAttr strings) {
  json::Array array;
  for (Attribute attr : strings)
    if (auto text = dyn_cast<StringAttr>(attr))
      array.push_back(text.getValue().str());
  return array;
}

static std::string typeName(Type type) {
  std::string text;
  llvm::raw_string_ostream(text) << type;
  return text;
}

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

static json::Object describeCollective(Operation *op) {
  json::Object object{{"kind", collectiveName(op).str()}};
  Runs runs = runsOf(op);
  object["count"] = runs.count;
  object["isCountKnown"] = runs.isKnown;
  auto input = cast<RankedTensorType>(op->getOperand(0).getType());
  object["shape"] = toJSON(input.getShape());
  object["dtype"] = typeName(input.getElementType());
  if (auto reduction = op->getAttrOfType<dist::ReductionKindAttr>("kind"))
    object["reduction"] =
        dist::stringifyReductionKind(reduction.getValue()).str();
  int64_t groupSize = 1;
  json::Array axes;
  auto meshName = op->getAttrOfType<FlatSymbolRefAttr>("mesh");
  std::optional<Mesh> mesh = dist::lookupMesh(op, meshName.getValue());
  if (auto attr = op->getAttrOfType<dist::AxesAttr>("axes"))
    for (const AxisRef &axis : attr.getValue()) {
      axes.push_back(toString(axis));
      if (mesh)
        groupSize *= axis.sizeOn(*mesh);
    }
  object["axes"] = std::move(axes);
  object["groupSize"] = groupSize;
  object["bytes"] = bytesOf(input);
  object["estimatedNs"] = 0;
  if (auto why = op->getAttrOfType<dist::WhyAttr>("why")) {
    object["bytes"] = why.getBytes();
    object["estimatedNs"] = why.getEstimatedNs();
    object["rule"] = why.getRule().getValue().str();
    object["origins"] = toJSON(why.getOrigins());
    object["alternatives"] = toJSON(why.getAlternatives());
  }
  auto [file, line] = sourceOf(op->getLoc());
  object["file"] = file;
  object["line"] = line;
  return object;
}

/// What a barrier before a recomputation says of its checkpoint.
static json::Object describeCheckpoint(BarrierOp op, DictionaryAttr why) {
  Runs runs = runsOf(op);
  auto [file, line] = sourceOf(op.getLoc());
  json::Object object{{"count", runs.count},
                      {"isCountKnown", runs.isKnown},
                      {"file", file},
                      {"line", line}};
  if (auto policy = why.getAs<StringAttr>("policy"))
    object["policy"] = policy.getValue().str();
  if (auto bytes = why.getAs<IntegerAttr>("bytes"))
    object["bytes"] = bytes.getInt();
  if (auto flops = why.getAs<FloatAttr>("flops"))
    object["flops"] = flops.getValueAsDouble();
  if (auto kept = why.getAs<ArrayAttr>("kept"))
    object["kept"] = toJSON(kept);
  return object;
}

/// An argument or result of the entry.
static json::Object describeBoundary(Type type, DictionaryAttr attributes,
                                     const Twine &defaultName) {
  auto local = cast<RankedTensorType>(type);
  json::Object object{{"name", defaultName.str()},
                      {"shape", toJSON(local.getShape())},
                      {"dtype", typeName(local.getElementType())},
                      {"localShape", toJSON(local.getShape())}};
  if (!attributes)
    return object;
  if (auto name = attributes.getAs<StringAttr>("tessera.name"))
    object["name"] = name.getValue().str();
  dist::Boundary boundary = dist::readBoundary(attributes);
  if (boundary.layout)
    object["layout"] = boundary.layout.getValue().str();
  if (boundary.globalType)
    object["shape"] =
        toJSON(cast<ShapedType>(boundary.globalType.getValue()).getShape());
  return object;
}

void tessera::reportLocalProgram(func::FuncOp entry, json::Object &report) {
  json::Array collectives, checkpoints, arguments, results;
  double flops = 0, bytes = 0;
  bool isKnown = true;
  entry.walk([&](Operation *op) {
    if (!collectiveName(op).empty())
      collectives.push_back(describeCollective(op));
    if (auto barrier = dyn_cast<BarrierOp>(op))
      if (auto why = op->getAttrOfType<DictionaryAttr>(recomputationAttrName))
        checkpoints.push_back(describeCheckpoint(barrier, why));
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
  // Growing would copy what the arrays hold.
  arguments.reserve(entry.getNumArguments());
  results.reserve(entry.getNumResults());
  for (auto [i, type] : llvm::enumerate(entry.getArgumentTypes()))
    arguments.push_back(
        describeBoundary(type, entry.getArgAttrDict(i), "arg" + Twine(i)));
  for (auto [i, type] : llvm::enumerate(entry.getResultTypes()))
    results.push_back(describeBoundary(type, entry.getResultAttrDict(i),
                                       "result" + Twine(i)));
  report["collectives"] = std::move(collectives);
  report["checkpoints"] = std::move(checkpoints);
  report["arguments"] = std::move(arguments);
  report["results"] = std::move(results);
  report["flops"] = flops;
  report["bytes"] = bytes;
  report["areIterationsKnown"] = isKnown;
}
