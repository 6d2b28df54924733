// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Whole tensors to one part per device and back, as layouts say, and the groups
// that collectives act in.
#ifndef TESSERA_INTERPRETER_SHARDING_H
#define TESSERA_INTERPRETER_SHARDING_H

#include "tessera/Analysis/Layout.h"
#include "tessera/Interpreter/Tensor.h"

namespace tessera::interpreter {

/// One tensor per device of the mesh, in the order of the devices.
using PerDevice = std::vector<Tensor>;

/// The part of `whole` that `device` holds. Padding past the end is poison, so
/// that whoever reads it shows. Along partial axes the first device of a group
/// holds the value and the others the neutral element of the kind.
Tensor cut(const Tensor &whole, const Layout &layout, const Mesh &mesh,
           int64_t device);
PerDevice cutAll(const Tensor &whole, const Layout &layout, const Mesh &mesh);

/// A whole tensor, or in words why the parts are not parts of one.
struct Joined {
  Tensor whole;
  std::string error;
};
/// The tensor of `shape` whose parts are `parts`: partial terms are combined in
/// the order of the devices, padding is dropped. Devices that hold the same
/// part must agree bit for bit. Of a value that varies, the result is that of
/// the first devices along the varying axes; the others are not looked at.
Joined join(const PerDevice &parts, const Layout &layout, const Mesh &mesh,
            const Shape &shape);

/// Terms combined in order. bf16 and f16 terms are combined in f32 and rounded
/// once; all other types are rounded at each step.
Tensor combineTerms(ReduceKind kind, const std::vector<const Tensor *> &terms);

PerDevice allReduce(ReduceKind kind, const PerDevice &inputs,
                    const std::vector<AxisRef> &axes, const Mesh &mesh);
/// `size` is the number of elements kept along `dim`.
PerDevice allGather(const PerDevice &inputs, int64_t dim, int64_t size,
                    const std::vector<AxisRef> &axes, const Mesh &mesh);
PerDevice allSlice(const PerDevice &inputs, int64_t dim,
                   const std::vector<AxisRef> &axes, const Mesh &mesh);
PerDevice permute(const PerDevice &inputs, const std::vector<int64_t> &targets);

} // namespace tessera::interpreter

#endif // TESSERA_INTERPRETER_SHARDING_H
