// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Text form and hashing of meshes, axes and layouts.
#include "dialects/Dist/IR/Dist.h"

#include "llvm/ADT/Hashing.h"

#include <limits>

using namespace mlir;
using namespace tessera;
using namespace tessera::dist;

llvm::hash_code tessera::hash_value(const Mesh &mesh) {
  llvm::hash_code hash = llvm::hash_value(mesh.name);
  for (const MeshAxis &axis : mesh.axes)
    hash = llvm::hash_combine(hash, axis.name, axis.size,
                              static_cast<int>(axis.link));
  return hash;
}

llvm::hash_code tessera::hash_value(const AxisRef &axis) {
  return llvm::hash_combine(axis.name, axis.pre, axis.size);
}

llvm::hash_code tessera::hash_value(const std::vector<AxisRef> &axes) {
  llvm::hash_code hash = llvm::hash_value(axes.size());
  for (const AxisRef &axis : axes)
    hash = llvm::hash_combine(hash, hash_value(axis));
  return hash;
}

llvm::hash_code tessera::hash_value(const Layout &layout) {
  llvm::hash_code hash = llvm::hash_combine(layout.mesh, layout.dims.size());
  for (const DimLayout &dim : layout.dims)
    hash = llvm::hash_combine(hash, hash_value(dim.axes), dim.open,
                              dim.priority.value_or(-1));
  return llvm::hash_combine(hash, hash_value(layout.partial),
                            hash_value(layout.reduced),
                            hash_value(layout.varying));
}

//===----------------------------------------------------------------------===//
// Axes
//===----------------------------------------------------------------------===//

/// axis ::= name (`:` `(` pre `)` size)?
static ParseResult parseAxis(AsmParser &parser, AxisRef &axis) {
  if (parser.parseKeywordOrString(&axis.name))
    return failure();
  if (failed(parser.parseOptionalColon()))
    return success();
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLParen() || parser.parseInteger(axis.pre) ||
      parser.parseRParen() || parser.parseInteger(axis.size))
    return failure();
  if (axis.pre < 1 || axis.size < 1)
    return parser.emitError(loc)
           << "sub-axis (" << axis.pre << ")" << axis.size << " of '"
           << axis.name
           << "' is empty; expected two numbers of 1 or more, as in tp:(1)2";
  if (axis.size > std::numeric_limits<int64_t>::max() / axis.pre)
    return parser.emitError(loc)
           << "sub-axis (" << axis.pre << ")" << axis.size << " of '"
           << axis.name
           << "' divides no axis: the product of its numbers does not fit into "
              "64 bits";
  return success();
}

static ParseResult parseAxes(AsmParser &parser, std::vector<AxisRef> &axes) {
  return parser.parseCommaSeparatedList(AsmParser::Delimiter::Braces, [&]() {
    return parseAxis(parser, axes.emplace_back());
  });
}

static void printAxis(AsmPrinter &printer, const AxisRef &axis) {
  printer.printKeywordOrString(axis.name);
  if (!axis.isWhole())
    printer << ":(" << axis.pre << ")" << axis.size;
}

static void printAxes(AsmPrinter &printer, const std::vector<AxisRef> &axes) {
  printer << "{";
  llvm::interleaveComma(axes, printer.getStream(),
                        [&](const AxisRef &axis) { printAxis(printer, axis); });
  printer << "}";
}

Attribute AxesAttr::parse(AsmParser &parser, Type) {
  std::vector<AxisRef> axes;
  if (parseAxes(parser, axes))
    return {};
  return AxesAttr::get(parser.getContext(), axes);
}

void AxesAttr::print(AsmPrinter &printer) const {
  printAxes(printer, getValue());
}

//===----------------------------------------------------------------------===//
// Layouts
//===----------------------------------------------------------------------===//

/// dim ::= `{` (axis (`,` axis)*)? (`,`? `?`)? `}` (`p` integer)?
static ParseResult parseDim(AsmParser &parser, DimLayout &dim) {
  auto parseEntry = [&]() -> ParseResult {
    if (succeeded(parser.parseOptionalQuestion())) {
      dim.open = true;
      return success();
    }
    if (dim.open)
      return parser.emitError(parser.getCurrentLocation(),
                              "'?' must be last in its dimension");
    return parseAxis(parser, dim.axes.emplace_back());
  };
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Braces, parseEntry))
    return failure();
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (failed(parser.parseOptionalKeyword(&keyword)))
    return success();
  int priority;
  if (!keyword.consume_front("p") || keyword.getAsInteger(10, priority) ||
      priority < 0)
    return parser.emitError(loc, "expected a priority such as 'p1' after a "
                                 "dimension's axes");
  dim.priority = priority;
  return success();
}

static void printDim(AsmPrinter &printer, const DimLayout &dim) {
  printer << "{";
  llvm::interleaveComma(dim.axes, printer.getStream(),
                        [&](const AxisRef &axis) { printAxis(printer, axis); });
  if (dim.open)
    printer << (dim.axes.empty() ? "?" : ", ?");
  printer << "}";
  if (dim.priority)
    printer << "p" << *dim.priority;
}

static FailureOr<ReduceKind> parseReduceKind(AsmParser &parser) {
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<ReductionKind> kind = symbolizeReductionKind(keyword);
  if (!kind) {
    parser.emitError(loc) << "expected sum, max, min or prod, got '" << keyword
                          << "'";
    return failure();
  }
  return toReduceKind(*kind);
}

ParseResult tessera::dist::parseLayoutBody(AsmParser &parser, Layout &layout) {
  if (parser.parseCommaSeparatedList(AsmParser::Delimiter::Square, [&]() {
        return parseDim(parser, layout.dims.emplace_back());
      }))
    return failure();
  while (succeeded(parser.parseOptionalComma())) {
    StringRef keyword;
    SMLoc loc = parser.getCurrentLocation();
    if (parser.parseKeyword(&keyword) || parser.parseEqual())
      return failure();
    if (keyword == "partial") {
      FailureOr<ReduceKind> kind = parseReduceKind(parser);
      if (failed(kind) || parseAxes(parser, layout.partial))
        return failure();
      layout.partialKind = *kind;
    } else if (keyword == "reduced") {
      if (parseAxes(parser, layout.reduced))
        return failure();
    } else if (keyword == "varying") {
      if (parseAxes(parser, layout.varying))
        return failure();
    } else {
      return parser.emitError(loc)
             << "expected 'partial', 'reduced' or 'varying', got '" << keyword
             << "'";
    }
  }
  return success();
}

void tessera::dist::printLayoutBody(AsmPrinter &printer, const Layout &layout) {
  printer << "[";
  llvm::interleaveComma(layout.dims, printer.getStream(),
                        [&](const DimLayout &dim) { printDim(printer, dim); });
  printer << "]";
  if (!layout.partial.empty()) {
    printer << ", partial = " << toString(layout.partialKind);
    printAxes(printer, layout.partial);
  }
  if (!layout.reduced.empty()) {
    printer << ", reduced = ";
    printAxes(printer, layout.reduced);
  }
  if (!layout.varying.empty()) {
    printer << ", varying = ";
    printAxes(printer, layout.varying);
  }
}

Attribute LayoutAttr::parse(AsmParser &parser, Type) {
  Layout layout;
  StringAttr mesh;
  if (parser.parseLess() || parser.parseSymbolName(mesh) ||
      parser.parseComma() || parseLayoutBody(parser, layout) ||
      parser.parseGreater())
    return {};
  layout.mesh = mesh.getValue().str();
  return LayoutAttr::get(parser.getContext(), layout);
}

void LayoutAttr::print(AsmPrinter &printer) const {
  printer << "<";
  printer.printSymbolName(getValue().mesh);
  printer << ", ";
  printLayoutBody(printer, getValue());
  printer << ">";
}

//===----------------------------------------------------------------------===//
// Meshes
//===----------------------------------------------------------------------===//

static std::optional<LinkClass> symbolizeLinkClass(StringRef name) {
  for (LinkClass link :
       {LinkClass::Shm, LinkClass::NVLink, LinkClass::PCIe, LinkClass::IB})
    if (name == toString(link))
      return link;
  return std::nullopt;
}

/// axis ::= name `=` size (`:` link)?
static ParseResult parseMeshAxis(AsmParser &parser, MeshAxis &axis) {
  if (parser.parseKeywordOrString(&axis.name) || parser.parseEqual() ||
      parser.parseInteger(axis.size))
    return failure();
  if (failed(parser.parseOptionalColon()))
    return success();
  StringRef keyword;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseKeyword(&keyword))
    return failure();
  std::optional<LinkClass> link = symbolizeLinkClass(keyword);
  if (!link)
    return parser.emitError(loc) << "unknown link class '" << keyword
                                 << "'; expected shm, nvlink, pcie or ib";
  axis.link = *link;
  return success();
}

Attribute MeshAttr::parse(AsmParser &parser, Type) {
  Mesh mesh;
  SMLoc loc = parser.getCurrentLocation();
  if (parser.parseLess() ||
      parser.parseCommaSeparatedList(
          AsmParser::Delimiter::Square,
          [&]() { return parseMeshAxis(parser, mesh.axes.emplace_back()); }) ||
      parser.parseGreater())
    return {};
  return MeshAttr::getChecked([&] { return parser.emitError(loc); },
                              parser.getContext(), mesh);
}

void MeshAttr::print(AsmPrinter &printer) const {
  printer << "<[";
  llvm::interleaveComma(getValue().axes, printer.getStream(),
                        [&](const MeshAxis &axis) {
                          printer.printKeywordOrString(axis.name);
                          printer << " = " << axis.size;
                          if (axis.link != LinkClass::Shm)
                            printer << " : " << toString(axis.link);
                        });
  printer << "]>";
}

/// Devices have 32-bit numbers. How many one process can run is the runtime's
/// business (abi::maxDevices).
static constexpr int64_t maxMeshDevices = int64_t(1) << 30;

LogicalResult MeshAttr::verify(function_ref<InFlightDiagnostic()> emitError,
                               Mesh mesh) {
  int64_t devices = 1;
  for (auto [index, axis] : llvm::enumerate(mesh.axes)) {
    if (axis.size < 1)
      return emitError() << "mesh axis '" << axis.name << "' has size "
                         << axis.size << "; expected at least 1";
    if (mesh.indexOf(axis.name) != static_cast<int>(index))
      return emitError() << "mesh axis '" << axis.name << "' is named twice";
    if (axis.size > maxMeshDevices / devices)
      return emitError() << "mesh has more than " << maxMeshDevices
                         << " devices; shrink axis '" << axis.name << "'";
    devices *= axis.size;
  }
  return success();
}

std::optional<Mesh> tessera::dist::lookupMesh(Operation *from, StringRef name) {
  auto symbol = StringAttr::get(from->getContext(), name);
  if (auto mesh = SymbolTable::lookupNearestSymbolFrom<MeshOp>(from, symbol))
    return mesh.getPlainMesh();
  return std::nullopt;
}
