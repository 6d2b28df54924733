// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// How the runtime reports failure: a sentence for the user, no exceptions.
#ifndef TESSERA_RT_STATUS_H
#define TESSERA_RT_STATUS_H

#include <optional>
#include <string>
#include <utility>

namespace tessera::rt {

/// Success, or why not.
class [[nodiscard]] Status {
public:
  static Status success() { return Status(); }
  static Status error(std::string message) {
    Status status;
    status.text = std::move(message);
    return status;
  }

  bool ok() const { return !text.has_value(); }
  /// Empty on success.
  const std::string &message() const {
    static const std::string none;
    return text ? *text : none;
  }
  /// The same failure, with `where` and a colon before it.
  Status in(const std::string &where) const {
    return ok() ? *this : error(where + ": " + *text);
  }

private:
  std::optional<std::string> text;
};

/// A value, or why there is none.
template <typename T> class [[nodiscard]] Result {
public:
  Result(T value) : content(std::move(value)) {}
  Result(Status failure) : why(std::move(failure)) {}

  bool ok() const { return content.has_value(); }
  const Status &status() const { return why; }
  T &operator*() { return *content; }
  T *operator->() { return &*content; }

private:
  std::optional<T> content;
  Status why;
};

} // namespace tessera::rt

#endif // TESSERA_RT_STATUS_H
