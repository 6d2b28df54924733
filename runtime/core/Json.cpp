// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/Json.h"

#include <cctype>
#include <cstdio>

using namespace tessera::rt;

std::string tessera::rt::quoteJson(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    auto code = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (code < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", code);
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

namespace {

class FlatParser {
public:
  explicit FlatParser(const std::string &text) : text(text) {}

  Result<std::map<std::string, JsonScalar>> parse() {
    std::map<std::string, JsonScalar> object;
    if (!take('{'))
      return expected("'{'");
    if (!take('}')) {
      do {
        std::string name;
        JsonScalar value;
        if (!readString(name))
          return expected("a name in double quotes");
        if (!take(':'))
          return expected("':'");
        if (!readScalar(value))
          return expected("a string, an integer, true or false");
        object[name] = value;
      } while (take(','));
      if (!take('}'))
        return expected("',' or '}'");
    }
    skipSpace();
    if (at != text.size())
      return expected("the end");
    return object;
  }

private:
  Status expected(const std::string &what) {
    return Status::error("expected " + what + " at character " +
                         std::to_string(at) + " of " + text);
  }
  void skipSpace() {
    while (at < text.size() &&
           std::isspace(static_cast<unsigned char>(text[at])))
      ++at;
  }
  bool take(char c) {
    skipSpace();
    if (at == text.size() || text[at] != c)
      return false;
    ++at;
    return true;
  }
  bool takeWord(const char *word) {
    if (text.compare(at, std::char_traits<char>::length(word), word) != 0)
      return false;
    at += std::char_traits<char>::length(word);
    return true;
  }
  bool readString(std::string &value) {
    if (!take('"'))
      return false;
    while (at < text.size() && text[at] != '"') {
      if (text[at] == '\\') {
        ++at;
        if (at == text.size() || (text[at] != '"' && text[at] != '\\'))
          return false;
      }
      value += text[at++];
    }
    return take('"');
  }
  bool readScalar(JsonScalar &value) {
    skipSpace();
    if (at < text.size() && text[at] == '"') {
      std::string string;
      if (!readString(string))
        return false;
      value = string;
      return true;
    }
    if (takeWord("true")) {
      value = true;
      return true;
    }
    if (takeWord("false")) {
      value = false;
      return true;
    }
    size_t begin = at;
    bool negative = at < text.size() && text[at] == '-';
    at += negative;
    int64_t number = 0;
    size_t digits = 0;
    // 18 digits always fit.
    for (;
         at < text.size() && digits < 18 && text[at] >= '0' && text[at] <= '9';
         ++at, ++digits)
      number = number * 10 + (text[at] - '0');
    if (digits == 0) {
      at = begin;
      return false;
    }
    value = negative ? -number : number;
    return true;
  }

  const std::string &text;
  size_t at = 0;
};

} // namespace

Result<std::map<std::string, JsonScalar>>
tessera::rt::parseFlatJson(const std::string &text) {
  return FlatParser(text).parse();
}
