// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// A shared object loaded from memory.
#ifndef TESSERA_RT_SHAREDOBJECT_H
#define TESSERA_RT_SHAREDOBJECT_H

#include "tessera-rt/Status.h"

namespace tessera::rt {

class SharedObject {
public:
  static Result<SharedObject> load(const std::string &bytes);
  SharedObject(SharedObject &&other);
  ~SharedObject();

  /// Null when the object has no such symbol.
  void *find(const std::string &symbol) const;

private:
  SharedObject() = default;

  void *handle = nullptr;
  int file = -1;
};

} // namespace tessera::rt

#endif // TESSERA_RT_SHAREDOBJECT_H
