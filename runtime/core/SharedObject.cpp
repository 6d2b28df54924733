// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera-rt/SharedObject.h"

#include <cerrno>
#include <cstring>
#include <dlfcn.h>
#include <sys/mman.h>
#include <unistd.h>

using namespace tessera::rt;

Result<SharedObject> SharedObject::load(const std::string &bytes) {
  SharedObject object;
  object.file = memfd_create("tessera-kernels", MFD_CLOEXEC);
  if (object.file < 0)
    return Status::error(std::string("cannot make an anonymous file: ") +
                         std::strerror(errno));
  for (size_t done = 0; done < bytes.size();) {
    ssize_t wrote =
        write(object.file, bytes.data() + done, bytes.size() - done);
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote <= 0)
      return Status::error(std::string("cannot write a kernel object: ") +
                           std::strerror(errno));
    done += static_cast<size_t>(wrote);
  }
  // The file stays open while the object is loaded: dlopen takes an equal path
  // for the same object, and the number would be used again.
  std::string path = "/proc/self/fd/" + std::to_string(object.file);
  object.handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!object.handle)
    return Status::error(std::string("cannot load a kernel object: ") +
                         dlerror());
  return object;
}

SharedObject::SharedObject(SharedObject &&other)
    : handle(other.handle), file(other.file) {
  other.handle = nullptr;
  other.file = -1;
}

SharedObject::~SharedObject() {
  if (handle)
    dlclose(handle);
  if (file >= 0)
    close(file);
}

void *SharedObject::find(const std::string &symbol) const {
  return dlsym(handle, symbol.c_str());
}
