# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names that a public module lacks, and where to find their equivalent."""

from __future__ import annotations

import sys
from types import ModuleType

from tessera._src.core.errors import NoAttribute, closest

# Names of other libraries, and what has their meaning.
_ALIASES = {
    "cat": "concatenate", "permute": "transpose", "unsqueeze": "expand_dims", "mul": "multiply",
    "sub": "subtract", "div": "divide", "neg": "negative", "select": "where",
    "masked_fill": "where", "expand": "broadcast_to", "view": "reshape", "bmm": "matmul", "mm": "matmul",
    "arccos": "acos", "arcsin": "asin", "arctan": "atan", "arctan2": "atan2", "arcsinh": "asinh",
    "arccosh": "acosh", "arctanh": "atanh", "amax": "max", "amin": "min",
    "around": "round", "fix": "trunc", "fabs": "abs", "invert": "bitwise_not", "in1d": "isin",
    "bitwise_invert": "bitwise_not", "fliplr": "flip", "flipud": "flip", "radians": "deg2rad",
    "degrees": "rad2deg", "promote_types": "result_type", "empty": "zeros", "empty_like": "zeros_like",
    "topk": "top_k", "gather": "take_along_axis", "index_select": "take",
    "tree_map": "tree.map", "tree_flatten": "tree.flatten", "tree_unflatten": "tree.unflatten",
    "tensor": "array", "Tensor": "Array", "ndarray": "Array", "for_loop": "fori_loop", "ifelse": "cond",
    "float": "f32", "int": "i32", "half": "f16", "double": "f64", "long": "i64", "bool": "bool_",
    "vectorize": "vmap", "jacobian": "jacrev", "cross_entropy": "softmax_cross_entropy",
    "DataLoader": "data.Loader", "IndexedDataset": "data.TokenFile", "Dataset": "data.Packed",
    "AutoTokenizer": "data.load_tokenizer", "Tokenizer": "data.load_tokenizer",
    "softmax_cross_entropy_with_integer_labels": "softmax_cross_entropy",
}
# What there is not, and what to do instead.
_ABSENT = {
    **dict.fromkeys(("pmap", "pjit", "shard_map", "xmap"),
                    "ts.jit(f, mesh=..., in_shardings=...) runs a function on all devices of a mesh"),
    **dict.fromkeys(("lax", "numpy", "jnp", "functional"), "its functions are in ts itself and in ts.nn"),
    **dict.fromkeys(("conv", "conv1d", "conv2d", "convolve", "conv_general_dilated", "max_pool", "avg_pool"),
                    "there are no convolutions and poolings: add up or compare slices of x"),
    **dict.fromkeys(("optax", "optimizers", "Adam", "Lion", "Adafactor", "Muon", "RMSprop", "Adagrad"),
                    "ts.optim has AdamW (with weight_decay=0, Adam) and SGD; other updates are written by "
                    "hand: ts.tree.map(lambda w, g: w - rate * g, weights, grads)"),
    **dict.fromkeys(("GradScaler", "DynamicLossScale", "loss_scale"), "use ts.optim.LossScale"),
    **dict.fromkeys(("clip_grad_norm_", "clip_grad_norm", "clip_gradients", "clip_by_norm"),
                    "use ts.optim.clip_by_global_norm"),
    **dict.fromkeys(("CosineAnnealingLR", "cosine_decay_schedule", "warmup_cosine_decay_schedule",
                     "CosineWithWarmup", "lr_scheduler", "schedulers"), "use ts.optim.cosine"),
    **{name: f"use ts.compat.{name}" for name in ("activation_checkpointing", "autocast", "distribute",
                                                  "distributed", "MixedPrecisionManager", "TesseraTrainer")},
    **dict.fromkeys(("complex64", "complex128", "real", "imag"), "there are no complex element types"),
    **dict.fromkeys(("uint8", "int8", "uint16", "int16", "uint32", "uint64"),
                    "integers are ts.i32 and ts.i64: convert with x.astype(np.int32)"),
}


def missing(module: ModuleType, name: str) -> AttributeError:
    """The error for `name`, which a public module does not have."""
    if name.startswith("__"):  # Protocols that Python and others ask for.
        return AttributeError(name)
    here = "ts" if module.__name__ == "tessera" else module.__name__.replace("tessera", "ts", 1)
    return NoAttribute("TS1027", f"{here} has no '{name}'", hint=_hint(module, here, name))


def _hint(module: ModuleType, here: str, name: str) -> str | None:
    public = sys.modules["tessera"]
    if name in _ABSENT:
        return _ABSENT[name]
    modules = ("nn", "optim", "random", "tree", "models", "debug", "data", "checkpoints")
    places = {"ts": public, **{f"ts.{n}": getattr(public, n) for n in modules}}
    alias = _ALIASES.get(name, name)
    for place, other in places.items():
        inner = alias.partition(".")[2] if place == "ts." + alias.partition(".")[0] else alias
        if inner in getattr(other, "__all__", ()):
            return f"use {place}.{inner}"
    close = closest(name, module.__all__)
    if close:
        return f"did you mean {here}.{close}?"
    found = [(place, close) for place, other in places.items() if (close := closest(name, other.__all__))]
    return f"did you mean {found[0][0]}.{found[0][1]}?" if found else None
