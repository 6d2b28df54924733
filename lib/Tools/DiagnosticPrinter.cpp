// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "DiagnosticPrinter.h"

#include "mlir/IR/Location.h"
#include "llvm/Support/ConvertUTF.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Format.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/WithColor.h"

using namespace mlir;
using namespace tessera;

/// The widest source line shown.
static constexpr size_t maxColumns = 120;

//===----------------------------------------------------------------------===//
// Text
//===----------------------------------------------------------------------===//

/// How many bytes the character at the start of `text` has; 0 if a terminal
/// cannot show it.
static size_t shownBytes(StringRef text) {
  unsigned char first = text.front();
  if (first < 0x80)
    return first >= 0x20 && first != 0x7f;
  size_t size = llvm::getNumBytesForUTF8(first);
  auto *begin = reinterpret_cast<const llvm::UTF8 *>(text.data());
  // U+0080 to U+009F are control characters too.
  bool isControl = first == 0xc2 && size <= text.size() &&
                   static_cast<unsigned char>(text[1]) < 0xa0;
  return size <= text.size() && !isControl &&
                 llvm::isLegalUTF8Sequence(begin, begin + size)
             ? size
             : 0;
}

static std::string escaped(char byte) {
  std::string text;
  llvm::raw_string_ostream(text)
      << llvm::format("\\x%02x", static_cast<unsigned char>(byte));
  return text;
}

std::string tessera::printable(StringRef text) {
  std::string result;
  while (!text.empty()) {
    bool isLayout = text.front() == '\n' || text.front() == '\t';
    size_t size = isLayout ? 1 : shownBytes(text);
    result += size ? text.take_front(size).str() : escaped(text.front());
    text = text.drop_front(std::max<size_t>(size, 1));
  }
  return result;
}

std::string tessera::excerpt(StringRef text, unsigned column) {
  // What each column of the terminal shows.
  std::vector<std::string> shown;
  size_t caret = 0;
  for (size_t at = 0; at < text.size();) {
    if (at + 1 <= column)
      caret = shown.size();
    StringRef rest = text.drop_front(at);
    size_t size = shownBytes(rest);
    if (size)
      shown.push_back(rest.take_front(size).str());
    else if (rest.front() == '\t')
      shown.push_back(" ");
    else
      for (char c : escaped(rest.front()))
        shown.push_back(std::string(1, c));
    at += std::max<size_t>(size, 1);
  }
  if (column > text.size())
    caret = shown.size();
  size_t begin = 0, end = shown.size();
  if (end > maxColumns) {
    begin = caret > maxColumns / 2 ? caret - maxColumns / 2 : 0;
    begin = std::min(begin, end - maxColumns);
    end = begin + maxColumns;
  }
  std::string line = begin ? "..." : "";
  std::string under(line.size() + caret - begin, ' ');
  for (size_t i = begin; i < end; ++i)
    line += shown[i];
  return line + (end < shown.size() ? "..." : "") + "\n" + under + "^\n";
}

//===----------------------------------------------------------------------===//
// Diagnostics
//===----------------------------------------------------------------------===//

DiagnosticPrinter::DiagnosticPrinter(MLIRContext *context, StringRef tool,
                                     StringRef sourceName, StringRef source)
    : ScopedDiagnosticHandler(context), tool(tool), sourceName(sourceName),
      source(source) {
  setHandler([this](Diagnostic &diagnostic) {
    print(diagnostic.getLocation(), diagnostic.getSeverity(), diagnostic.str());
    for (Diagnostic &note : diagnostic.getNotes())
      print(note.getLocation(), note.getSeverity(), note.str());
  });
}

/// The innermost place in a file; null without one.
static FileLineColLoc placeOf(Location location) {
  FileLineColLoc place;
  location->walk([&](Location part) {
    place = dyn_cast<FileLineColLoc>(part);
    if (place && !place.getLine())
      place = nullptr;
    return place ? WalkResult::interrupt() : WalkResult::advance();
  });
  return place;
}

static std::pair<StringRef, llvm::HighlightColor>
describe(DiagnosticSeverity severity) {
  switch (severity) {
  case DiagnosticSeverity::Error:
    return {"error: ", llvm::HighlightColor::Error};
  case DiagnosticSeverity::Warning:
    return {"warning: ", llvm::HighlightColor::Warning};
  case DiagnosticSeverity::Note:
    return {"note: ", llvm::HighlightColor::Note};
  case DiagnosticSeverity::Remark:
    return {"remark: ", llvm::HighlightColor::Remark};
  }
  llvm_unreachable("unknown severity");
}

void DiagnosticPrinter::print(Location location, DiagnosticSeverity severity,
                              StringRef message) const {
  llvm::raw_ostream &os = llvm::errs();
  FileLineColLoc place = placeOf(location);
  if (place)
    os << printable(place.getFilename()) << ":" << place.getLine() << ":"
       << place.getColumn() << ": ";
  else
    os << tool << ": ";
  auto [word, color] = describe(severity);
  llvm::WithColor(os, color).get() << word;
  os << printable(message) << "\n";
  std::string line = place ? lineOf(place) : "";
  if (!line.empty())
    os << excerpt(line, std::max(place.getColumn(), 1u));
}

/// The text of a place's line; empty where the file cannot be read.
std::string DiagnosticPrinter::lineOf(FileLineColLoc place) const {
  std::unique_ptr<llvm::MemoryBuffer> buffer;
  StringRef name = place.getFilename(), text = source;
  if (name != sourceName) {
    // Reading a device or a pipe might never end.
    if (!llvm::sys::fs::is_regular_file(name))
      return "";
    auto file = llvm::MemoryBuffer::getFile(name);
    if (!file)
      return "";
    buffer = std::move(*file);
    text = buffer->getBuffer();
  }
  for (unsigned line = 1; line < place.getLine(); ++line)
    text = text.split('\n').second;
  return text.split('\n').first.rtrim('\r').str();
}
