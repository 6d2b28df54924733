// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Pipelines/Version.h"

#include "tessera/ABI/PlanFormat.h"
#include "tessera/Target/CPU.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/Config/llvm-config.h"
#include "llvm/Support/MathExtras.h"

#include <cstring>
#include <link.h>
#include <string>

namespace {
/// What is searched for: the loaded file that holds `address`.
struct Search {
  uintptr_t address;
  std::string buildID;
};
} // namespace

/// The description of the note NT_GNU_BUILD_ID among `notes`, or "".
static llvm::ArrayRef<uint8_t> findBuildID(llvm::ArrayRef<uint8_t> notes) {
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) header;
    std::memcpy(&header, notes.data(), sizeof header);
    size_t name = sizeof header;
    size_t data = name + llvm::alignTo<4>(header.n_namesz);
    size_t end = data + llvm::alignTo<4>(header.n_descsz);
    if (end > notes.size())
      return {};
    if (header.n_type == NT_GNU_BUILD_ID && header.n_namesz == 4 &&
        !std::memcmp(notes.data() + name, "GNU", 4))
      return notes.slice(data, header.n_descsz);
    notes = notes.drop_front(end);
  }
  return {};
}

static int visitLoadedFile(dl_phdr_info *file, size_t, void *data) {
  auto &search = *static_cast<Search *>(data);
  llvm::ArrayRef<ElfW(Phdr)> segments(file->dlpi_phdr, file->dlpi_phnum);
  auto bytes = [&](const ElfW(Phdr) & segment) {
    return llvm::ArrayRef(
        reinterpret_cast<const uint8_t *>(file->dlpi_addr + segment.p_vaddr),
        segment.p_memsz);
  };
  bool isOurs = llvm::any_of(segments, [&](const ElfW(Phdr) & segment) {
    uintptr_t begin = file->dlpi_addr + segment.p_vaddr;
    return segment.p_type == PT_LOAD && search.address >= begin &&
           search.address < begin + segment.p_memsz;
  });
  if (!isOurs)
    return 0;
  for (const ElfW(Phdr) &segment : segments)
    if (segment.p_type == PT_NOTE && search.buildID.empty())
      search.buildID =
          llvm::toHex(findBuildID(bytes(segment)), /*LowerCase=*/true);
  return 1;
}

/// The code that compiles is the identity: the linker's hash of the file that
/// this function was loaded from.
static std::string getBuildID() {
  Search search{reinterpret_cast<uintptr_t>(&getBuildID), ""};
  dl_iterate_phdr(visitLoadedFile, &search);
  return search.buildID.empty() ? "unknown" : search.buildID;
}

const char *tessera::getCompilerVersion() {
  static const std::string version = "tessera-" + getBuildID() + "-llvm-" +
                                     LLVM_VERSION_STRING + "-plan-" +
                                     std::to_string(abi::planVersion);
  return version.c_str();
}

const char *tessera::getVersionOnHost() {
  static const std::string version = [] {
    std::string text = getCompilerVersion(), problem;
    if (std::optional<CPUDescription> cpu = describeCPU("native", problem))
      text += "-on-" + cpu->architecture + "-" + cpu->model + "-" +
              llvm::join(cpu->features, "+");
    return text;
  }();
  return version.c_str();
}
