// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs reshard plans on simulated devices that hold logical indices, or for
// partial values the terms of a sum.
#ifndef TESSERA_TEST_UNIT_LIB_ANALYSIS_RESHARDSIMULATION_H
#define TESSERA_TEST_UNIT_LIB_ANALYSIS_RESHARDSIMULATION_H

#include "tessera/Analysis/ReshardPlanner.h"

#include "gtest/gtest.h"

#include <cmath>
#include <functional>

using namespace tessera;

namespace {

constexpr int64_t padding = -1;

/// One device's tensor, row-major. An element is a logical index, or padding;
/// of a partial value it is index + 1 on the device that holds the term and 0
/// on the others, so that the sum over the group is index + 1.
struct Local {
  std::vector<int64_t> shape;
  std::vector<int64_t> data;

  explicit Local(std::vector<int64_t> shape = {}) : shape(std::move(shape)) {
    int64_t n = 1;
    for (int64_t size : this->shape)
      n *= size;
    data.assign(n, padding);
  }
  int64_t flat(const std::vector<int64_t> &index) const {
    int64_t at = 0;
    for (size_t d = 0; d < shape.size(); ++d)
      at = at * shape[d] + index[d];
    return at;
  }
};

void forEachIndex(const std::vector<int64_t> &shape,
                  const std::function<void(const std::vector<int64_t> &)> &fn) {
  std::vector<int64_t> index(shape.size(), 0);
  int64_t n = 1;
  for (int64_t size : shape)
    n *= size;
  for (int64_t i = 0; i < n; ++i) {
    fn(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d])
        break;
      index[d] = 0;
    }
  }
}

using Devices = std::vector<Local>;

/// Position of a device in its group, and the group, in the group's order.
int64_t positionIn(const std::vector<AxisRef> &axes, const Mesh &mesh,
                   int64_t device) {
  int64_t position = 0;
  for (const AxisRef &axis : axes)
    position = position * axis.sizeOn(mesh) + axis.coordinateOn(mesh, device);
  return position;
}

std::vector<int64_t> groupOf(const std::vector<AxisRef> &axes, const Mesh &mesh,
                             int64_t device) {
  int64_t k = 1;
  for (const AxisRef &axis : axes)
    k *= axis.sizeOn(mesh);
  auto stride = [&](const AxisRef &axis) {
    int index = mesh.indexOf(axis.name);
    int64_t inner = mesh.axes[index].size / (axis.pre * axis.sizeOn(mesh));
    for (size_t i = index + 1; i < mesh.axes.size(); ++i)
      inner *= mesh.axes[i].size;
    return inner;
  };
  int64_t base = device;
  for (const AxisRef &axis : axes)
    base -= axis.coordinateOn(mesh, device) * stride(axis);
  std::vector<int64_t> group;
  for (int64_t position = 0; position < k; ++position) {
    int64_t member = base, rest = position;
    for (size_t i = axes.size(); i-- > 0;) {
      member += (rest % axes[i].sizeOn(mesh)) * stride(axes[i]);
      rest /= axes[i].sizeOn(mesh);
    }
    group.push_back(member);
  }
  return group;
}

Devices scatter(const Layout &layout, const std::vector<int64_t> &shape,
                const Mesh &mesh) {
  Devices devices;
  Local whole(shape);
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    Local local(layout.localShape(shape, mesh));
    // The terms are unlike each other: the device at position p holds
    // index + 1 if index % k == p, else 0.
    int64_t k = 1;
    for (const AxisRef &axis : layout.partial)
      k *= axis.sizeOn(mesh);
    int64_t position = positionIn(layout.partial, mesh, device);
    forEachIndex(local.shape, [&](const std::vector<int64_t> &index) {
      std::vector<int64_t> global = index;
      for (size_t d = 0; d < shape.size(); ++d) {
        DimInterval part =
            localInterval(shape[d], layout.dims[d].axes, mesh, device);
        if (index[d] >= part.valid)
          return;
        global[d] += part.begin;
      }
      int64_t value = whole.flat(global) + 1;
      local.data[local.flat(index)] = value % k == position ? value : 0;
    });
    devices.push_back(std::move(local));
  }
  return devices;
}

Devices gather(const Devices &in, int dim, int64_t size,
               const std::vector<AxisRef> &axes, const Mesh &mesh) {
  Devices out;
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    std::vector<int64_t> group = groupOf(axes, mesh, device);
    std::vector<int64_t> shape = in[device].shape;
    int64_t chunk = shape[dim];
    shape[dim] = size;
    Local local(shape);
    forEachIndex(shape, [&](const std::vector<int64_t> &index) {
      const Local &source = in[group[index[dim] / chunk]];
      std::vector<int64_t> from = index;
      from[dim] %= chunk;
      local.data[local.flat(index)] = source.data[source.flat(from)];
    });
    out.push_back(std::move(local));
  }
  return out;
}

Devices slice(const Devices &in, int dim, const std::vector<AxisRef> &axes,
              const Mesh &mesh) {
  Devices out;
  for (int64_t device = 0; device < mesh.numDevices(); ++device) {
    int64_t k = static_cast<int64_t>(groupOf(axes, mesh, device).size());
    int64_t position = positionIn(axes, mesh, device);
    std::vector<int64_t> shape = in[device].shape;
    int64_t size = shape[dim];
    shape[dim] = (size + k - 1) / k;
    Local local(shape);
    forEachIndex(shape, [&](const std::vector<int64_t> &index) {
      std::vector<int64_t> from = index;
      from[dim] += position * shape[dim];
      if (from[dim] < size)
        local.data[local.flat(index)] = in[device].data[in[device].flat(from)];
    });
    out.push_back(std::move(local));
  }
  return out;
}

Devices reduce(const Devices &in, const std::vector<AxisRef> &axes,
               const Mesh &mesh) {
  Devices out = in;
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    for (size_t i = 0; i < out[device].data.size(); ++i) {
      int64_t sum = 0;
      for (int64_t member : groupOf(axes, mesh, device))
        sum += in[member].data[i];
      out[device].data[i] = in[device].data[i] == padding ? padding : sum;
    }
  return out;
}

Devices apply(const Devices &in, const ReshardStep &step,
              const std::vector<int64_t> &shape, const Mesh &mesh) {
  std::vector<int64_t> after = step.after.localShape(shape, mesh);
  switch (step.kind) {
  case CollectiveKind::AllSlice:
    return slice(in, step.dim, step.axes, mesh);
  case CollectiveKind::AllGather:
    return gather(in, step.dim, after[step.dim], step.axes, mesh);
  case CollectiveKind::AllReduce:
    return reduce(in, step.axes, mesh);
  case CollectiveKind::ReduceScatter:
    return slice(reduce(in, step.axes, mesh), step.dim, step.axes, mesh);
  case CollectiveKind::AllToAll:
    return slice(gather(in, step.dim, after[step.dim], step.axes, mesh),
                 step.splitDim, step.axes, mesh);
  case CollectiveKind::Permute: {
    Devices out(in.size());
    for (size_t device = 0; device < in.size(); ++device) {
      int64_t index = positionIn(step.axes, mesh, device);
      out[groupOf(step.to, mesh, device)[index]] = in[device];
    }
    return out;
  }
  }
  return in;
}

Mesh makeMesh(std::vector<int64_t> sizes) {
  Mesh mesh;
  mesh.name = "mesh";
  const char *names[] = {"x", "y", "z"};
  for (size_t i = 0; i < sizes.size(); ++i)
    mesh.axes.push_back({names[i], sizes[i], LinkClass::NVLink});
  return mesh;
}

/// Every way to place an ordered subset of `axes` on `rank` dimensions.
std::vector<Layout> allLayouts(const std::vector<AxisRef> &axes, size_t rank) {
  std::vector<Layout> result = {Layout::replicated("mesh", rank)};
  // Each axis in turn is left out or put anywhere among those placed before.
  for (const AxisRef &axis : axes) {
    std::vector<Layout> next = result;
    for (const Layout &layout : result)
      for (size_t d = 0; d < rank; ++d)
        for (size_t at = 0; at <= layout.dims[d].axes.size(); ++at) {
          Layout placed = layout;
          auto &list = placed.dims[d].axes;
          list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), axis);
          next.push_back(placed);
        }
    result = std::move(next);
  }
  return result;
}

std::string describe(const ReshardPlan &plan) {
  std::string text;
  for (const ReshardStep &step : plan.steps)
    text += std::string(toString(step.kind)) + " -> " + step.after.str() + "\n";
  return text;
}

void expectPlanMoves(const Layout &from, const Layout &to,
                     const std::vector<int64_t> &shape, const Mesh &mesh) {
  ReshardPlan plan = planReshard(from, to, shape, 4, mesh);
  ASSERT_TRUE(std::isfinite(plan.nanoseconds))
      << from.str() << " to " << to.str();
  Devices devices = scatter(from, shape, mesh);
  for (const ReshardStep &step : plan.steps) {
    devices = apply(devices, step, shape, mesh);
    ASSERT_EQ(devices[0].shape, step.after.localShape(shape, mesh))
        << describe(plan);
  }
  if (!to.partial.empty())
    devices = reduce(devices, to.partial, mesh);
  Layout whole = to;
  whole.partial.clear();
  Devices wanted = scatter(whole, shape, mesh);
  for (int64_t device = 0; device < mesh.numDevices(); ++device)
    for (size_t i = 0; i < wanted[device].data.size(); ++i)
      if (wanted[device].data[i] != padding)
        ASSERT_EQ(devices[device].data[i], wanted[device].data[i])
            << from.str() << " to " << to.str() << ", device " << device
            << ", element " << i << "\n"
            << describe(plan);
}

} // namespace

#endif // TESSERA_TEST_UNIT_LIB_ANALYSIS_RESHARDSIMULATION_H
