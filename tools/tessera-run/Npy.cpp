// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Npy.h"

#include "Files.h"

#include <algorithm>

using namespace tessera;
using rt::Result;
using rt::Status;

namespace {

constexpr char magic[] = "\x93NUMPY\x01";
constexpr size_t preambleBytes = 10; // Magic, two version bytes, a u16 size.
constexpr size_t maxHeaderBytes = 65535;

const char *descriptor(abi::DType dtype) {
  switch (dtype) {
  case abi::DType::F32:
    return "<f4";
  case abi::DType::BF16:
    return "<u2";
  case abi::DType::F16:
    return "<f2";
  case abi::DType::F64:
    return "<f8";
  case abi::DType::I32:
    return "<i4";
  case abi::DType::I64:
    return "<i8";
  case abi::DType::UI32:
    return "<u4";
  case abi::DType::I1:
    return "|b1";
  case abi::DType::UI8:
    return "|u1";
  case abi::DType::I8:
    return "|i1";
  case abi::DType::UI16:
    return "<u2";
  case abi::DType::I16:
    return "<i2";
  case abi::DType::F8E4M3: // As their bits.
  case abi::DType::F8E5M2:
    return "|u1";
  }
  return "";
}

std::string tuple(const std::vector<int64_t> &shape) {
  std::string text = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + (shape.size() == 1 ? ",)" : ")");
}

std::string header(abi::DType dtype, const std::vector<int64_t> &shape) {
  return std::string("{'descr': '") + descriptor(dtype) +
         "', 'fortran_order': False, 'shape': " + tuple(shape) + ", }";
}

/// What a file's header says. Texts are as in the file.
struct Header {
  std::string descriptor, shape;
  bool isFortran = false;
};

/// What follows `key` in `text` up to `end`; empty if there is none.
std::string valueOf(const std::string &text, const std::string &key, char end) {
  size_t begin = text.find(key);
  if (begin == std::string::npos)
    return "";
  begin += key.size();
  size_t stop = text.find(end, begin);
  if (stop == std::string::npos)
    return "";
  return text.substr(begin, std::min<size_t>(stop - begin, 100));
}

Header parse(const std::string &text) {
  Header header;
  header.descriptor = valueOf(text, "'descr': '", '\'');
  header.isFortran = valueOf(text, "'fortran_order': ", ',') == "True";
  header.shape = "(" + valueOf(text, "'shape': (", ')') + ")";
  return header;
}

/// What is wrong with an array for `dtype` and `shape`, and how a NumPy array
/// `a` is made right; or "".
std::string mismatch(const Header &header, abi::DType dtype,
                     const std::vector<int64_t> &shape) {
  std::string wanted = descriptor(dtype);
  // What ml_dtypes saves bf16 and f8 as, whose bits they are.
  bool isF8 = dtype == abi::DType::F8E4M3 || dtype == abi::DType::F8E5M2;
  bool isBits =
      (dtype == abi::DType::BF16 &&
       (header.descriptor == "<V2" || header.descriptor == "|V2")) ||
      (isF8 && (header.descriptor == "<V1" || header.descriptor == "|V1"));
  if (header.descriptor != wanted && !isBits) {
    std::string got =
        header.descriptor.empty() ? "fields" : "'" + header.descriptor + "'";
    bool isBig = header.descriptor.rfind('>', 0) == 0;
    return "holds " + got + (isBig ? ", which is big-endian" : "") +
           ", expected little-endian " + abi::toString(dtype) +
           (dtype == abi::DType::BF16
                ? ", saved by ml_dtypes ('<V2') or as its bits ('<u2'); save "
                  "a.astype(ml_dtypes.bfloat16).view(np.uint16)"
                : ", '" + wanted + "'; save a.astype('" + wanted + "')");
  }
  if (header.shape != tuple(shape))
    return "has shape " + header.shape + ", expected " + tuple(shape);
  if (header.isFortran)
    return "is in Fortran order (columns first), expected C order (rows "
           "first); save np.ascontiguousarray(a)";
  return "";
}

} // namespace

Result<std::string> run::readNpy(const std::string &path, abi::DType dtype,
                                 const std::vector<int64_t> &shape) {
  size_t size = abi::numElements(shape) * abi::sizeOf(dtype);
  // One byte more than there may be shows that there are too many.
  Result<std::string> file =
      readFile(path, magic, preambleBytes + maxHeaderBytes + size + 1);
  if (!file.ok())
    return file.status();
  const std::string &bytes = *file;
  if (bytes.size() < preambleBytes || bytes.compare(0, 7, magic) != 0)
    return Status::error("'" + path +
                         "' is not an .npy file of version 1, which np.save "
                         "writes");
  size_t headerBytes = static_cast<unsigned char>(bytes[8]) +
                       256 * static_cast<unsigned char>(bytes[9]);
  if (bytes.size() < preambleBytes + headerBytes)
    return Status::error("'" + path + "' is cut short");
  std::string problem =
      mismatch(parse(bytes.substr(preambleBytes, headerBytes)), dtype, shape);
  if (!problem.empty())
    return Status::error("'" + path + "' " + problem);
  std::string data = bytes.substr(preambleBytes + headerBytes);
  if (data.size() > size)
    return Status::error("'" + path + "' has more than the " +
                         std::to_string(size) + " bytes of data expected");
  if (data.size() < size)
    return Status::error("'" + path + "' has " + std::to_string(data.size()) +
                         " bytes of data, expected " + std::to_string(size));
  return data;
}

Status run::writeNpy(const std::string &path, abi::DType dtype,
                     const std::vector<int64_t> &shape,
                     const std::string &bytes) {
  std::string text = header(dtype, shape);
  // The data begin at a multiple of 64 bytes.
  while ((preambleBytes + text.size() + 1) % 64 != 0)
    text += ' ';
  text += '\n';
  std::string file(magic, 7);
  file += '\0';
  file += static_cast<char>(text.size() % 256);
  file += static_cast<char>(text.size() / 256);
  return writeFile(path, file + text + bytes);
}
