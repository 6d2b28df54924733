// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "tessera/Interpreter/Sharding.h"
#include "lib/Interpreter/TensorOps.h"
#include "tessera/Analysis/MeshGroups.h"

#include <algorithm>
#include <limits>
#include <map>

using namespace tessera;
using namespace tessera::interpreter;

//===----------------------------------------------------------------------===//
// Cutting and joining
//===----------------------------------------------------------------------===//

namespace {
/// The box of a whole tensor that a device holds.
struct Box {
  Shape begin, valid, local;
};
} // namespace

static Box boxOf(const Shape &shape, const Layout &layout, const Mesh &mesh,
                 int64_t device) {
  Box box;
  for (size_t d = 0; d < shape.size(); ++d) {
    DimInterval interval =
        localInterval(shape[d], layout.dims[d].axes, mesh, device);
    box.begin.push_back(interval.begin);
    box.valid.push_back(interval.valid);
    box.local.push_back(interval.local);
  }
  return box;
}

/// A tensor of the elements that change nothing when combined.
static Tensor neutral(ReduceKind kind, const Tensor &like) {
  Tensor empty({0}, like.kind);
  Tensor element = reduce(kind, empty, {0});
  // A sum of nothing is 0.0, which would change a term of -0.0.
  if (kind == ReduceKind::Sum)
    for (double &number : element.floats)
      number = -0.0;
  return broadcast(element, {}, like.shape);
}

Tensor interpreter::cut(const Tensor &whole, const Layout &layout,
                        const Mesh &mesh, int64_t device) {
  Box box = boxOf(whole.shape, layout, mesh, device);
  Tensor part = Tensor::poison(box.local, whole.kind);
  bool isFirstTerm = indexAlong(layout.partial, mesh, device) == 0;
  Tensor source = isFirstTerm ? whole : neutral(layout.partialKind, whole);
  copyBox(source, box.begin, part, Shape(box.begin.size(), 0), box.valid);
  return part;
}

PerDevice interpreter::cutAll(const Tensor &whole, const Layout &layout,
                              const Mesh &mesh) {
  PerDevice parts;
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    parts.push_back(cut(whole, layout, mesh, device));
  return parts;
}

Tensor interpreter::combineTerms(ReduceKind kind,
                                 const std::vector<const Tensor *> &terms) {
  Tensor result = *terms.front();
  ElementKind element = result.kind;
  bool isNarrow = byteSize(element) == 2;
  ElementKind step = isNarrow ? ElementKind::F32 : element;
  for (size_t t = 1; t < terms.size(); ++t) {
    for (size_t i = 0; i < result.floats.size(); ++i)
      result.floats[i] =
          combine(kind, step, result.floats[i], terms[t]->floats[i]);
    for (size_t i = 0; i < result.ints.size(); ++i)
      result.ints[i] = combine(kind, step, result.ints[i], terms[t]->ints[i]);
  }
  if (isNarrow)
    for (double &value : result.floats)
      value = roundTo(element, value);
  return result;
}

/// What differs between two parts that should be equal, or nothing.
static std::string findReplicaError(const Tensor &first, int64_t firstDevice,
                                    const Tensor &second,
                                    int64_t secondDevice) {
  for (int64_t i = 0, n = first.size(); i < n; ++i)
    if (!sameElement(first, i, second, i))
      return "device " + std::to_string(secondDevice) +
             " does not agree with device " + std::to_string(firstDevice) +
             ", which holds the same part: element " + std::to_string(i) +
             " is " + std::to_string(second.at(i)) + ", expected " +
             std::to_string(first.at(i));
  return "";
}

Joined interpreter::join(const PerDevice &parts, const Layout &layout,
                         const Mesh &mesh, const Shape &shape) {
  // Devices by the place of their part and, there, by the index of their term.
  using Terms = std::map<int64_t, int64_t>;
  std::map<std::vector<int64_t>, Terms> places;
  auto validPart = [&](int64_t device, const Box &box) {
    Tensor valid(box.valid, parts[device].kind);
    Shape origin(box.valid.size(), 0);
    copyBox(parts[device], origin, valid, origin, box.valid);
    return valid;
  };
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    // The others hold values of their own, which need not agree.
    if (indexAlong(layout.varying, mesh, device) != 0)
      continue;
    Box box = boxOf(shape, layout, mesh, device);
    if (parts[device].shape != box.local)
      return {{},
              "device " + std::to_string(device) + " holds a part of shape " +
                  toString(parts[device].shape, parts[device].kind) +
                  ", but layout " + layout.str() + " gives it " +
                  toString(box.local, parts[device].kind)};
    std::vector<int64_t> place;
    for (const DimLayout &dim : layout.dims)
      place.push_back(indexAlong(dim.axes, mesh, device));
    auto [entry, isNew] = places[place].try_emplace(
        indexAlong(layout.partial, mesh, device), device);
    if (isNew)
      continue;
    std::string error =
        findReplicaError(validPart(entry->second, box), entry->second,
                         validPart(device, box), device);
    if (!error.empty())
      return {{}, error};
  }

  Tensor whole(shape, parts.front().kind);
  for (const auto &[place, terms] : places) {
    Box box = boxOf(shape, layout, mesh, terms.begin()->second);
    std::vector<Tensor> values;
    for (auto [index, device] : terms)
      values.push_back(validPart(device, box));
    std::vector<const Tensor *> pointers;
    for (const Tensor &value : values)
      pointers.push_back(&value);
    copyBox(combineTerms(layout.partialKind, pointers), Shape(shape.size(), 0),
            whole, box.begin, box.valid);
  }
  return {whole, ""};
}

//===----------------------------------------------------------------------===//
// Collectives
//===----------------------------------------------------------------------===//

PerDevice interpreter::allReduce(ReduceKind kind, const PerDevice &inputs,
                                 const std::vector<AxisRef> &axes,
                                 const Mesh &mesh) {
  PerDevice results(inputs.size());
  for (const std::vector<int32_t> &group : groupsAlong(axes, mesh)) {
    std::vector<const Tensor *> terms;
    for (int32_t device : group)
      terms.push_back(&inputs[device]);
    Tensor combined = combineTerms(kind, terms);
    for (int32_t device : group)
      results[device] = combined;
  }
  return results;
}

PerDevice interpreter::allGather(const PerDevice &inputs, int64_t dim,
                                 int64_t size, const std::vector<AxisRef> &axes,
                                 const Mesh &mesh) {
  PerDevice results(inputs.size());
  for (const std::vector<int32_t> &group : groupsAlong(axes, mesh)) {
    std::vector<const Tensor *> chunks;
    for (int32_t device : group)
      chunks.push_back(&inputs[device]);
    Tensor joined = concatenate(chunks, dim);
    Shape limits = joined.shape;
    limits[dim] = size;
    joined =
        slice(joined, Shape(limits.size(), 0), limits, Shape(limits.size(), 1));
    for (int32_t device : group)
      results[device] = joined;
  }
  return results;
}

PerDevice interpreter::allSlice(const PerDevice &inputs, int64_t dim,
                                const std::vector<AxisRef> &axes,
                                const Mesh &mesh) {
  PerDevice results;
  int64_t parts = groupSize(axes, mesh);
  for (size_t device = 0; device < inputs.size(); ++device) {
    const Tensor &input = inputs[device];
    int64_t size = input.shape[dim], chunk = (size + parts - 1) / parts;
    int64_t begin = indexAlong(axes, mesh, device) * chunk;
    Shape from(input.shape.size(), 0), local = input.shape, valid;
    from[dim] = begin;
    local[dim] = chunk;
    valid = local;
    valid[dim] = std::clamp<int64_t>(size - begin, 0, chunk);
    Tensor part = Tensor::poison(local, input.kind);
    copyBox(input, from, part, Shape(local.size(), 0), valid);
    results.push_back(std::move(part));
  }
  return results;
}

PerDevice interpreter::permute(const PerDevice &inputs,
                               const std::vector<int64_t> &targets) {
  PerDevice results(inputs.size());
  for (size_t device = 0; device < inputs.size(); ++device)
    results[targets[device]] = inputs[device];
  return results;
}
