# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tessera: write a tensor program once, run it on a mesh of devices.

    import tessera as ts
    mesh = ts.make_mesh({"tp": 4})

    @ts.jit(mesh=mesh)
    def mlp(x: ts.MeshTensor["B", "D"], w: ts.MeshTensor["D", "H", ts.P(None, "tp")],
            v: ts.MeshTensor["H", "D"]):
        return ts.gelu(x @ w) @ v
"""

import importlib as _importlib
import sys as _sys
from math import e, inf, nan, pi
from typing import TYPE_CHECKING as _TYPE_CHECKING

from tessera import debug, nn, random, tree
from tessera._src.arrays.array import Array, Shard, ShapeDtypeStruct
from tessera._src.arrays.placing import (
    array,
    asarray,
    block_until_ready,
    device_get,
    device_put,
    from_dlpack,
)
from tessera._src.batching.vmap import vmap
from tessera._src.control_flow.branches import cond, switch
from tessera._src.control_flow.loops import fori_loop, map, scan, while_loop
from tessera._src.core.dtypes import (
    bf16,
    bfloat16,
    bool_,
    f16,
    f32,
    f64,
    float16,
    float32,
    float64,
    i32,
    i64,
    int32,
    int64,
)
from tessera._src.core.errors import (
    CheckpointError,
    CompileError,
    ConfigError,
    DataError,
    ShapeError,
    ShardingError,
    TesseraError,
    TraceError,
    TrainingError,
)
from tessera._src.core.missing import missing as _missing
from tessera._src.derivatives.checkpoint import checkpoint, checkpoint_policies
from tessera._src.derivatives.checkpoint import checkpoint as remat
from tessera._src.derivatives.custom_jvp import custom_jvp
from tessera._src.derivatives.custom_vjp import custom_vjp
from tessera._src.derivatives.gradients import grad, value_and_grad
from tessera._src.derivatives.jacobians import hessian, jacfwd, jacrev
from tessera._src.derivatives.marks import checkpoint_name, stop_gradient
from tessera._src.derivatives.modes import jvp, linearize, vjp
from tessera._src.derivatives.precision import Precision
from tessera._src.functions.artefact import load_artefact
from tessera._src.functions.compiled import Compiled
from tessera._src.functions.eager import make_eager as _make_eager
from tessera._src.functions.jit import eval_shape, jit
from tessera._src.functions.lowered import Lowered
from tessera._src.meshes.annotations import MeshTensor
from tessera._src.meshes.devices import device_count
from tessera._src.meshes.mesh import UNCONSTRAINED, Mesh, NamedSharding, PartitionSpec, make_mesh
from tessera._src.ops import operators as _operators  # Gives traced values their operators.
from tessera._src.ops.constraints import with_sharding_constraint
from tessera._src.ops.creation import (
    arange,
    diag,
    eye,
    full,
    full_like,
    iota,
    linspace,
    meshgrid,
    one_hot,
    ones,
    ones_like,
    tri,
    tril,
    triu,
    zeros,
    zeros_like,
)
from tessera._src.ops.derived import (
    cbrt,
    ceil,
    cosh,
    deg2rad,
    expm1,
    fmax,
    fmin,
    fmod,
    heaviside,
    hypot,
    isclose,
    isfinite,
    isinf,
    isneginf,
    isposinf,
    log1p,
    logaddexp,
    logaddexp2,
    logical_xor,
    nan_to_num,
    positive,
    rad2deg,
    reciprocal,
    rint,
    round,
    signbit,
    sinc,
    sinh,
    tan,
    trunc,
)
from tessera._src.ops.elementwise import (
    astype,
    bitwise_not,
    clip,
    equal,
    floor,
    floor_divide,
    gelu,
    greater,
    greater_equal,
    isnan,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    not_equal,
    power,
    relu,
    remainder,
    square,
    where,
)
from tessera._src.ops.effects import optimization_barrier
from tessera._src.ops.elementwise_functions import *  # noqa: F403
from tessera._src.ops.indexing import diagonal, flip
from tessera._src.ops.lookups import (
    dynamic_index_in_dim,
    dynamic_slice,
    dynamic_slice_in_dim,
    dynamic_update_index_in_dim,
    dynamic_update_slice,
    dynamic_update_slice_in_dim,
    embedding,
    put_along_axis,
    take,
    take_along_axis,
)
from tessera._src.ops.neural import attention, layer_norm, rms_norm
from tessera._src.ops.products import (
    dot,
    einsum,
    inner,
    kron,
    matmul,
    outer,
    tensordot,
    vdot,
    vecdot,
)
from tessera._src.ops.reductions import (
    all,
    allclose,
    any,
    argmax,
    argmin,
    array_equal,
    count_nonzero,
    cummax,
    cummin,
    cumprod,
    cumsum,
    cumulative_prod,
    cumulative_sum,
    diff,
    logsumexp,
    max,
    mean,
    min,
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nansum,
    prod,
    ptp,
    softmax,
    std,
    sum,
    trace,
    var,
)
from tessera._src.ops.shaping import (
    array_split,
    broadcast_arrays,
    broadcast_to,
    concatenate,
    expand_dims,
    hstack,
    moveaxis,
    pad,
    ravel,
    reshape,
    roll,
    split,
    squeeze,
    stack,
    swapaxes,
    tile,
    transpose,
    unstack,
    vstack,
)
from tessera._src.ops.sorting import (
    argsort,
    isin,
    median,
    percentile,
    quantile,
    repeat,
    searchsorted,
    sort,
    top_k,
)
from tessera._src.ops.updates import bincount, segment_max, segment_min, segment_sum
from tessera._src.ops.types import can_cast, finfo, iinfo, isdtype, result_type

_make_eager(globals())
P = PartitionSpec
newaxis = None
function = jit
mod, pow = remainder, power
concat, permute_dims = concatenate, transpose
__version__ = "0.1.0"

# Pickles, messages and help name the public place, which stays where it is when files move.
for _item in [*globals().values()]:
    if isinstance(_item, type) and _item.__module__.startswith("tessera._src."):
        _item.__module__ = "tessera"
type(UNCONSTRAINED).__module__ = "tessera"

# Modules that are imported when they are first used.
_LATER = ("checkpoints", "compat", "data", "models", "monitor", "optim", "training")
# Classes of these that are used most.
_LATER_CLASSES = {"TrainConfig": "training", "Trainer": "training"}
if _TYPE_CHECKING:
    from tessera import checkpoints, compat, data, models, monitor, optim, training
    from tessera.training import TrainConfig, Trainer

__all__ = sorted([*(name for name in dir() if not name.startswith("_")), *_LATER, *_LATER_CLASSES])


def __getattr__(name: str):
    if name in _LATER:
        return _importlib.import_module(f"tessera.{name}")
    if name in _LATER_CLASSES:
        return getattr(_importlib.import_module(f"tessera.{_LATER_CLASSES[name]}"), name)
    raise _missing(_sys.modules[__name__], name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, *_LATER_CLASSES})
