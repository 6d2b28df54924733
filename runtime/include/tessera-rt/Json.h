// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The little JSON that the C interface needs: flat objects in, text out.
#ifndef TESSERA_RT_JSON_H
#define TESSERA_RT_JSON_H

#include "tessera-rt/Status.h"

#include <cstdint>
#include <map>
#include <variant>

namespace tessera::rt {

/// `text` in double quotes, escaped.
std::string quoteJson(const std::string &text);

using JsonScalar = std::variant<std::string, int64_t, bool>;

/// Reads {"name": scalar, ...} with strings, integers, true and false. The
/// strings' escapes other than \" and \\ are refused.
Result<std::map<std::string, JsonScalar>>
parseFlatJson(const std::string &text);

} // namespace tessera::rt

#endif // TESSERA_RT_JSON_H
