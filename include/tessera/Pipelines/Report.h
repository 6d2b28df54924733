// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What a compilation tells about its program.
#ifndef TESSERA_PIPELINES_REPORT_H
#define TESSERA_PIPELINES_REPORT_H

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/JSON.h"

#include <map>
#include <string>

namespace tessera {

/// A JSON object whose values are kept as text: one of llvm::json takes 4 KiB
/// even if it is small, and a program can have thousands of arguments.
class Report {
public:
  using Writer = llvm::function_ref<void(llvm::json::OStream &)>;

  /// Sets a value, which `write` writes.
  void set(llvm::StringRef key, Writer write);
  void set(llvm::StringRef key, const llvm::json::Value &value) {
    set(key, [&](llvm::json::OStream &out) { out.value(value); });
  }

  /// The object as text on one line, its keys sorted.
  std::string str() const;

private:
  std::map<std::string, std::string> values;
};

} // namespace tessera

#endif // TESSERA_PIPELINES_REPORT_H
