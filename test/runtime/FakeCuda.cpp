// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "FakeCuda.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <dlfcn.h>
#include <elf.h>
#include <functional>
#include <set>
#include <sys/mman.h>
#include <unistd.h>

using tessera::test::FakeCuda;

namespace {

enum Result : int {
  success = 0,
  invalidValue = 1,
  outOfMemory = 2,
  notInitialized = 3,
  invalidDevice = 101,
  invalidImage = 200,
  invalidContext = 201,
  invalidHandle = 400,
  notFound = 500,
  notReady = 600,
};

FakeCuda state;
bool initialized = false;

struct Context {
  int device = 0;
};
Context contexts[16];
thread_local std::vector<Context *> stack;

struct Stream {
  Context *context;
  std::deque<std::function<void()>> pending;
};
std::set<Stream *> streams;

struct Module {
  Context *context;
  void *library;
  int file;
};
std::set<Module *> modules;

struct Function {
  Module *module;
  std::string name;
  unsigned sharedBytes; ///< Most that a launch may ask for.
};
std::deque<Function> functions;

struct Block {
  Context *context;
  size_t bytes;
};
std::map<uint64_t, Block> memory;

/// The end of the process takes what a hung device has kept.
struct Process {
  ~Process() {
    for (Stream *stream : streams)
      delete stream;
    for (Module *module : modules)
      delete module;
    for (auto &[address, block] : memory)
      std::free(reinterpret_cast<void *>(address));
  }
} process;

/// Notes the call; what it must return at once, or success.
Result enter(const char *name, bool needsContext = true) {
  state.calls.push_back(name);
  auto failure = state.failures.find(name);
  if (failure != state.failures.end() && failure->second.after-- == 0)
    return static_cast<Result>(failure->second.code);
  if (!initialized)
    return notInitialized;
  if (needsContext && stack.empty())
    return invalidContext;
  return success;
}

void finishAll() {
  for (Stream *stream : streams) {
    for (auto &work : stream->pending)
      work();
    stream->pending.clear();
  }
}

/// Whether the range lies in memory of the current context.
bool isLive(uint64_t address, size_t bytes) {
  auto after = memory.upper_bound(address);
  if (after == memory.begin())
    return false;
  auto &[begin, block] = *std::prev(after);
  return address + bytes <= begin + block.bytes &&
         block.context == stack.back();
}

Stream *findStream(void *handle) {
  auto *stream = static_cast<Stream *>(handle);
  bool isValid = streams.count(stream) && stream->context == stack.back();
  return isValid ? stream : nullptr;
}

int copyLater(const char *name, void *to, const void *from, size_t bytes,
              bool isLegal, void *handle) {
  if (Result result = enter(name))
    return result;
  Stream *stream = findStream(handle);
  if (!stream)
    return invalidHandle;
  if (!isLegal || bytes == 0)
    return invalidValue;
  stream->pending.push_back([=] { std::memcpy(to, from, bytes); });
  return success;
}

template <typename T>
int fillLater(const char *name, uint64_t to, T value, size_t count,
              void *handle) {
  if (Result result = enter(name))
    return result;
  Stream *stream = findStream(handle);
  if (!stream)
    return invalidHandle;
  if (!isLive(to, count * sizeof(T)) || to % sizeof(T))
    return invalidValue;
  stream->pending.push_back(
      [=] { std::fill_n(reinterpret_cast<T *>(to), count, value); });
  return success;
}

/// Bytes of an ELF image whose section headers come last.
size_t imageBytes(const void *image) {
  Elf64_Ehdr header;
  std::memcpy(&header, image, sizeof header);
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0)
    return 0;
  return header.e_shoff + size_t(header.e_shnum) * header.e_shentsize;
}

void *asPointer(uint64_t address) { return reinterpret_cast<void *>(address); }

} // namespace

#define EXPORT extern "C" __attribute__((visibility("default")))

EXPORT FakeCuda *tesseraFakeCuda() {
  state.contextDepth = stack.size();
  return &state;
}

EXPORT int cuInit(unsigned flags) {
  initialized = true;
  if (Result result = enter("cuInit", false))
    return result;
  return flags == 0 ? success : invalidValue;
}
EXPORT int cuGetErrorName(int code, const char **name) {
  *name = code == outOfMemory ? "CUDA_ERROR_OUT_OF_MEMORY" : nullptr;
  return *name ? success : invalidValue;
}
EXPORT int cuGetErrorString(int code, const char **text) {
  *text = code == outOfMemory ? "out of memory" : nullptr;
  return *text ? success : invalidValue;
}
EXPORT int cuDeviceGetCount(int *count) {
  *count = state.gpus;
  return enter("cuDeviceGetCount", false);
}
EXPORT int cuDeviceGet(int *device, int ordinal) {
  if (Result result = enter("cuDeviceGet", false))
    return result;
  *device = ordinal;
  return ordinal >= 0 && ordinal < state.gpus ? success : invalidDevice;
}
EXPORT int cuDeviceGetAttribute(int *value, int attribute, int) {
  if (Result result = enter("cuDeviceGetAttribute", false))
    return result;
  const std::map<int, int> values = {
      {75, state.major}, {76, state.minor}, {97, state.sharedBytes}};
  auto found = values.find(attribute);
  if (found == values.end())
    return invalidValue;
  *value = found->second;
  return success;
}
EXPORT int cuDevicePrimaryCtxRetain(void **context, int device) {
  if (Result result = enter("cuDevicePrimaryCtxRetain", false))
    return result;
  contexts[device].device = device;
  *context = &contexts[device];
  ++state.live;
  return success;
}
EXPORT int cuDevicePrimaryCtxRelease_v2(int) {
  --state.live;
  return enter("cuDevicePrimaryCtxRelease", false);
}
EXPORT int cuCtxPushCurrent_v2(void *context) {
  if (Result result = enter("cuCtxPushCurrent", false))
    return result;
  if (!context)
    return invalidContext;
  stack.push_back(static_cast<Context *>(context));
  return success;
}
EXPORT int cuCtxPopCurrent_v2(void **context) {
  if (Result result = enter("cuCtxPopCurrent"))
    return result;
  *context = stack.back();
  stack.pop_back();
  return success;
}

EXPORT int cuModuleLoadData(void **module, const void *image) {
  if (Result result = enter("cuModuleLoadData"))
    return result;
  size_t bytes = imageBytes(image);
  if (bytes == 0)
    return invalidImage;
  int file = memfd_create("fake-cubin", MFD_CLOEXEC);
  if (write(file, image, bytes) != static_cast<ssize_t>(bytes))
    return invalidImage;
  std::string path = "/proc/self/fd/" + std::to_string(file);
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library)
    return invalidImage;
  auto *loaded = new Module{stack.back(), library, file};
  modules.insert(loaded);
  *module = loaded;
  ++state.live;
  return success;
}
EXPORT int cuModuleUnload(void *handle) {
  if (Result result = enter("cuModuleUnload"))
    return result;
  auto *module = static_cast<Module *>(handle);
  if (!modules.erase(module) || module->context != stack.back())
    return invalidHandle;
  dlclose(module->library);
  close(module->file);
  delete module;
  --state.live;
  return success;
}
EXPORT int cuModuleGetFunction(void **function, void *handle,
                               const char *name) {
  if (Result result = enter("cuModuleGetFunction"))
    return result;
  auto *module = static_cast<Module *>(handle);
  if (!modules.count(module) || module->context != stack.back())
    return invalidHandle;
  if (!dlsym(module->library, name))
    return notFound;
  functions.push_back({module, name, 48 * 1024});
  *function = &functions.back();
  return success;
}

EXPORT int cuFuncSetAttribute(void *handle, int attribute, int value) {
  if (Result result = enter("cuFuncSetAttribute"))
    return result;
  auto *function = static_cast<Function *>(handle);
  if (!function || function->module->context != stack.back())
    return invalidHandle;
  if (attribute != 8 || value < 0 || value > state.sharedBytes)
    return invalidValue;
  function->sharedBytes = static_cast<unsigned>(value);
  return success;
}

EXPORT int cuStreamCreate(void **stream, unsigned flags) {
  if (Result result = enter("cuStreamCreate"))
    return result;
  if (flags > 1)
    return invalidValue;
  auto *created = new Stream{stack.back(), {}};
  streams.insert(created);
  *stream = created;
  ++state.live;
  return success;
}
EXPORT int cuStreamDestroy_v2(void *handle) {
  if (Result result = enter("cuStreamDestroy"))
    return result;
  Stream *stream = findStream(handle);
  if (!stream)
    return invalidHandle;
  streams.erase(stream);
  delete stream;
  --state.live;
  return success;
}
EXPORT int cuStreamQuery(void *handle) {
  Result result = enter("cuStreamQuery");
  Stream *stream = stack.empty() ? nullptr : findStream(handle);
  if (result) {
    // Such an error is the context's last: what is pending is never done.
    if (stream)
      stream->pending.clear();
    return result;
  }
  if (!stream)
    return invalidHandle;
  if (state.hangs)
    return notReady;
  if (stream->pending.empty())
    return success;
  stream->pending.front()();
  stream->pending.pop_front();
  return notReady;
}

EXPORT int cuMemAlloc_v2(uint64_t *address, size_t bytes) {
  if (Result result = enter("cuMemAlloc"))
    return result;
  if (bytes == 0)
    return invalidValue;
  void *block = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
  if (!block)
    return outOfMemory;
  *address = reinterpret_cast<uint64_t>(block);
  memory[*address] = {stack.back(), bytes};
  ++state.live;
  return success;
}
EXPORT int cuMemFree_v2(uint64_t address) {
  if (Result result = enter("cuMemFree"))
    return result;
  auto block = memory.find(address);
  if (block == memory.end() || block->second.context != stack.back())
    return invalidValue;
  finishAll();
  std::free(asPointer(address));
  memory.erase(block);
  --state.live;
  return success;
}

EXPORT int cuMemcpyHtoDAsync_v2(uint64_t to, const void *from, size_t bytes,
                                void *stream) {
  bool isLegal = !stack.empty() && isLive(to, bytes);
  return copyLater("cuMemcpyHtoDAsync", asPointer(to), from, bytes, isLegal,
                   stream);
}
EXPORT int cuMemcpyDtoHAsync_v2(void *to, uint64_t from, size_t bytes,
                                void *stream) {
  bool isLegal = !stack.empty() && isLive(from, bytes);
  return copyLater("cuMemcpyDtoHAsync", to, asPointer(from), bytes, isLegal,
                   stream);
}
EXPORT int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t bytes,
                                void *stream) {
  bool isLegal = !stack.empty() && isLive(to, bytes) && isLive(from, bytes);
  return copyLater("cuMemcpyDtoDAsync", asPointer(to), asPointer(from), bytes,
                   isLegal, stream);
}
EXPORT int cuMemsetD8Async(uint64_t to, unsigned char value, size_t count,
                           void *stream) {
  return fillLater("cuMemsetD8Async", to, value, count, stream);
}
EXPORT int cuMemsetD16Async(uint64_t to, unsigned short value, size_t count,
                            void *stream) {
  return fillLater("cuMemsetD16Async", to, value, count, stream);
}
EXPORT int cuMemsetD32Async(uint64_t to, unsigned value, size_t count,
                            void *stream) {
  return fillLater("cuMemsetD32Async", to, value, count, stream);
}

/// Modules are cpu objects of TestKernels.c, whose kernels take two pointers.
EXPORT int cuLaunchKernel(void *handle, unsigned gridX, unsigned gridY,
                          unsigned gridZ, unsigned blockX, unsigned blockY,
                          unsigned blockZ, unsigned sharedBytes,
                          void *streamHandle, void **parameters, void **extra) {
  if (Result result = enter("cuLaunchKernel"))
    return result;
  Stream *stream = findStream(streamHandle);
  auto *function = static_cast<Function *>(handle);
  if (!stream || !function || function->module->context != stack.back())
    return invalidHandle;
  uint64_t threads = uint64_t(blockX) * blockY * blockZ;
  bool isLegal = gridX && gridY && gridZ && gridY <= 65535 && gridZ <= 65535 &&
                 threads && threads <= 1024 &&
                 sharedBytes <= function->sharedBytes && parameters && !extra;
  if (!isLegal)
    return invalidValue;
  using Kernel = void (*)(void *const *, int64_t, int64_t);
  auto kernel = reinterpret_cast<Kernel>(
      dlsym(function->module->library, function->name.c_str()));
  // The driver copies the parameters at the call.
  std::vector<void *> args;
  for (int i = 0; i < 2; ++i)
    args.push_back(*static_cast<void **>(parameters[i]));
  int64_t blocks = int64_t(gridX) * gridY * gridZ;
  stream->pending.push_back([=] { kernel(args.data(), 0, blocks); });
  return success;
}
