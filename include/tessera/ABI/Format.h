// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Formats of prints and checks: text with a place {} for each operand.
#ifndef TESSERA_ABI_FORMAT_H
#define TESSERA_ABI_FORMAT_H

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tessera::abi {

/// The text before, between and behind the places {}, in which {{ and }} stand
/// for braces; nothing where a brace is single.
inline std::optional<std::vector<std::string>>
splitFormat(std::string_view format) {
  std::vector<std::string> parts(1);
  for (size_t at = 0; at < format.size(); ++at) {
    char c = format[at];
    if (c != '{' && c != '}') {
      parts.back() += c;
      continue;
    }
    char next = at + 1 < format.size() ? format[at + 1] : '\0';
    if (next == c)
      parts.back() += c;
    else if (c == '{' && next == '}')
      parts.emplace_back();
    else
      return std::nullopt;
    ++at;
  }
  return parts;
}

} // namespace tessera::abi

#endif // TESSERA_ABI_FORMAT_H
