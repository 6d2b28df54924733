// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Report.h"

#include "llvm/Support/raw_ostream.h"

using namespace tessera;
namespace json = llvm::json;

static constexpr size_t bufferSize = 1 << 14;

void Report::set(llvm::StringRef key, Writer write) {
  std::string &text = values[key.str()];
  text.clear();
  llvm::raw_string_ostream stream(text);
  // JSON is written character by character: without a buffer, each is appended
  // to the string by itself.
  stream.SetBufferSize(bufferSize);
  json::OStream out(stream);
  write(out);
  stream.flush();
}

std::string Report::str() const {
  std::string text;
  llvm::raw_string_ostream stream(text);
  json::OStream out(stream);
  out.object([&] {
    for (const auto &[key, value] : values)
      out.attributeBegin(key), out.rawValue(value), out.attributeEnd();
  });
  return text;
}
