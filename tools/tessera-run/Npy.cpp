// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "Npy.h"

#include "Files.h"

using namespace tessera;
using rt::Result;
using rt::Status;

namespace {

constexpr char magic[] = "\x93NUMPY\x01";
constexpr size_t preambleBytes = 10; // Magic, two version bytes, a u16 size.

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

} // namespace

Result<std::string> run::readNpy(const std::string &path, abi::DType dtype,
                                 const std::vector<int64_t> &shape) {
  Result<std::string> file = readFile(path);
  if (!file.ok())
    return file.status();
  const std::string &bytes = *file;
  if (bytes.size() < preambleBytes || bytes.compare(0, 7, magic) != 0)
    return Status::error("'" + path + "' is not an .npy file of version 1");
  size_t headerBytes = static_cast<unsigned char>(bytes[8]) +
                       256 * static_cast<unsigned char>(bytes[9]);
  if (bytes.size() < preambleBytes + headerBytes)
    return Status::error("'" + path + "' is cut short");
  std::string got = bytes.substr(preambleBytes, headerBytes);
  got.erase(got.find_last_not_of(" \n") + 1);
  // NumPy always writes its header in this form.
  std::string expected = header(dtype, shape);
  if (got != expected)
    return Status::error("'" + path + "' holds " + got + ", expected " +
                         expected);
  std::string data = bytes.substr(preambleBytes + headerBytes);
  size_t size = abi::numElements(shape) * abi::sizeOf(dtype);
  if (data.size() != size)
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
