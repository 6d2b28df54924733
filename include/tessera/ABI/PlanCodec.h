// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The byte form of an artefact, read and written by the same description of
// each struct (its `visit`). Little-endian:
//   header: magic, version, number of sections, checksum of all that follows
//   per section: kind, offset from the start of the file, size
//   the sections: one plan, any number of objects, the constants, any number of
//   captured tensors
#ifndef TESSERA_ABI_PLANCODEC_H
#define TESSERA_ABI_PLANCODEC_H

#include "tessera/ABI/PlanFormat.h"

#include <cstring>
#include <type_traits>

namespace tessera::abi {

constexpr char artefactMagic[8] = {'T', 'E', 'S', 'S', 'E', 'R', 'A', '\0'};

enum class SectionKind : uint32_t {
  Plan = 1,
  Object = 2,
  Constants = 3,
  Captured = 4,
};

struct ArtefactHeader {
  char magic[8];
  uint32_t version;
  uint32_t numSections;
  uint64_t checksum;
};
struct SectionHeader {
  SectionKind kind;
  uint32_t reserved;
  uint64_t offset;
  uint64_t size;
};

/// FNV-1a, 64 bits.
inline uint64_t checksumOf(const char *bytes, size_t size) {
  uint64_t hash = 0xcbf29ce484222325ull;
  for (size_t i = 0; i < size; ++i)
    hash = (hash ^ static_cast<unsigned char>(bytes[i])) * 0x100000001b3ull;
  return hash;
}

/// Appends values to `bytes`.
class PlanWriter {
public:
  std::string bytes;

  template <typename... T> void operator()(const T &...values) {
    (write(values), ...);
  }

private:
  template <typename T> void write(const T &value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>)
      bytes.append(reinterpret_cast<const char *>(&value), sizeof(T));
    else
      // `visit` only reads here.
      const_cast<T &>(value).visit(*this);
  }
  void write(const std::string &value) {
    write(static_cast<uint64_t>(value.size()));
    bytes += value;
  }
  template <typename T> void write(const std::vector<T> &values) {
    write(static_cast<uint64_t>(values.size()));
    for (const T &value : values)
      write(value);
  }
};

/// Reads what PlanWriter wrote. After reading past the end `failed` is set and
/// all values are empty.
class PlanReader {
public:
  PlanReader(const char *begin, size_t size) : next(begin), left(size) {}

  bool failed = false;
  size_t remaining() const { return left; }

  template <typename... T> void operator()(T &...values) {
    (read(values), ...);
  }

private:
  bool take(void *to, size_t size) {
    if (failed || size > left) {
      failed = true;
      return false;
    }
    std::memcpy(to, next, size);
    next += size;
    left -= size;
    return true;
  }
  /// A count of items that take `itemSize` bytes each at least.
  uint64_t readCount(size_t itemSize) {
    uint64_t count = 0;
    if (take(&count, sizeof count) && count > left / itemSize)
      failed = true;
    return failed ? 0 : count;
  }
  template <typename T> void read(T &value) {
    if constexpr (std::is_arithmetic_v<T> || std::is_enum_v<T>)
      take(&value, sizeof(T));
    else
      value.visit(*this);
  }
  void read(std::string &value) {
    value.resize(readCount(1));
    take(value.data(), value.size());
  }
  template <typename T> void read(std::vector<T> &values) {
    uint64_t count = readCount(std::is_arithmetic_v<T> ? sizeof(T) : 1);
    values.clear();
    for (uint64_t i = 0; i < count && !failed; ++i)
      read(values.emplace_back());
  }

  const char *next;
  size_t left;
};

/// The bytes of `artefact`.
inline std::string encodeArtefact(const Artefact &artefact) {
  PlanWriter plan;
  plan(artefact.plan);
  std::vector<std::pair<SectionKind, const std::string *>> sections;
  sections.emplace_back(SectionKind::Plan, &plan.bytes);
  for (const std::string &object : artefact.objects)
    sections.emplace_back(SectionKind::Object, &object);
  sections.emplace_back(SectionKind::Constants, &artefact.constants);
  for (const std::string &value : artefact.captured)
    sections.emplace_back(SectionKind::Captured, &value);

  std::string body;
  uint64_t offset =
      sizeof(ArtefactHeader) + sections.size() * sizeof(SectionHeader);
  for (auto [kind, bytes] : sections) {
    SectionHeader section = {kind, 0, offset, bytes->size()};
    body.append(reinterpret_cast<const char *>(&section), sizeof section);
    offset += bytes->size();
  }
  for (auto [kind, bytes] : sections)
    body += *bytes;

  ArtefactHeader header = {{},
                           planVersion,
                           static_cast<uint32_t>(sections.size()),
                           checksumOf(body.data(), body.size())};
  std::memcpy(header.magic, artefactMagic, sizeof header.magic);
  return std::string(reinterpret_cast<const char *>(&header), sizeof header) +
         body;
}

/// Fills `artefact` from `bytes`; returns what is wrong with them, or "". The
/// plan's form is right afterwards, its content is not checked.
inline std::string decodeArtefact(const char *bytes, size_t size,
                                  Artefact &artefact) {
  ArtefactHeader header;
  if (size < sizeof header)
    return "is not a Tessera artefact: it has only " + std::to_string(size) +
           " bytes";
  std::memcpy(&header, bytes, sizeof header);
  if (std::memcmp(header.magic, artefactMagic, sizeof header.magic) != 0)
    return "is not a Tessera artefact: it does not begin with 'TESSERA'";
  if (header.version != planVersion)
    return "has format version " + std::to_string(header.version) +
           ", this runtime reads version " + std::to_string(planVersion) +
           "; compile the program again, or use a runtime of the compiler's "
           "version";
  const char *body = bytes + sizeof header;
  size_t bodySize = size - sizeof header;
  if (checksumOf(body, bodySize) != header.checksum)
    return "is damaged: its checksum does not match (cut short or changed "
           "after it was written)";
  if (header.numSections > bodySize / sizeof(SectionHeader))
    return "is damaged: its section table does not fit";
  // The sections follow one another up to the end, so that the number of
  // sections, which the checksum does not cover, is checked too.
  uint64_t expected =
      sizeof header + header.numSections * sizeof(SectionHeader);
  bool sawPlan = false;
  for (uint32_t i = 0; i < header.numSections; ++i) {
    SectionHeader section;
    std::memcpy(&section, body + i * sizeof section, sizeof section);
    if (section.offset != expected || section.size > size - section.offset)
      return "is damaged: section " + std::to_string(i) +
             " is not where it should be";
    expected += section.size;
    const char *content = bytes + section.offset;
    switch (section.kind) {
    case SectionKind::Plan: {
      PlanReader reader(content, section.size);
      reader(artefact.plan);
      if (reader.failed || reader.remaining() != 0)
        return "is damaged: its plan cannot be read";
      sawPlan = true;
      break;
    }
    case SectionKind::Object:
      artefact.objects.emplace_back(content, section.size);
      break;
    case SectionKind::Constants:
      artefact.constants.assign(content, section.size);
      break;
    case SectionKind::Captured:
      artefact.captured.emplace_back(content, section.size);
      break;
    default:
      return "is damaged: section " + std::to_string(i) + " has unknown kind " +
             std::to_string(static_cast<uint32_t>(section.kind));
    }
  }
  if (expected != size)
    return "is damaged: its sections do not fill it";
  return sawPlan ? "" : "is damaged: it has no plan";
}

} // namespace tessera::abi

#endif // TESSERA_ABI_PLANCODEC_H
