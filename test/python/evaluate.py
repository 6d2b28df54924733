# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Evaluates traced programs with NumPy, op by op, from their text.

Independent of the compiler, so that it tells errors of tracing from errors of compiling.
"""

import math
import re

import numpy as np

from references import REFERENCES, erf
from tessera._src.core.dtypes import BY_NAME

_OP = re.compile(r"^\s*(%\d+) = tessera\.(\w+) (.*?) loc\(")
_TYPE = re.compile(r"!tessera\.mesh_tensor<((?:\d+x)*)(\w+), @mesh")
_LIST = re.compile(r"\[([-\d, ]*)\]")

_COMPARE = {"eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal,
            "gt": np.greater, "ge": np.greater_equal}
_REDUCE = {"sum": np.sum, "max": np.max, "min": np.min, "prod": np.prod}


def _type(text):
    dims, name = _TYPE.findall(text)[-1]
    return tuple(int(d) for d in dims.split("x") if d), BY_NAME[name]


def _lists(text):
    return [[int(v) for v in found.split(",") if v.strip()] for found in _LIST.findall(text)]


def _constant(text, shape, dtype):
    body = re.match(r"dense<(.*?)> :", text).group(1)
    if not body.startswith('"0x'):
        if body.startswith("0x"):
            bits = np.array(int(body, 16), f"u{dtype.itemsize}")
            return np.full(shape, bits.view(dtype))
        return np.full(shape, {"true": True, "false": False}.get(body, None) if dtype == np.bool_
                       else float(body) if "." in body else int(body)).astype(dtype)
    raw = np.frombuffer(bytes.fromhex(body[3:-1]), np.uint8)
    if dtype == np.bool_:
        return np.unpackbits(raw, bitorder="little")[: math.prod(shape)].astype(bool).reshape(shape)
    return raw.view(dtype).reshape(shape)


def _number(text, name):
    return float(re.search(rf"{name} (\S+)", text).group(1))


def _scores(q, k, bias, head):
    k = np.repeat(k, q.shape[2] // k.shape[2], axis=2)
    score = np.einsum("bshd,bthd->bhst", q, k) * _number(head, "scale") + sum(bias)
    if "causal" in head:
        s, t = score.shape[2:]
        score = np.where(np.tri(s, t, t - s, dtype=bool), score, -np.inf)
    return score


def _attention(values, head):
    q, k, v, *bias = values
    weights = _softmax(_scores(q, k, bias, head), -1)
    return np.einsum("bhst,bthe->bshe", weights, np.repeat(v, q.shape[2] // v.shape[2], axis=2))


def _attention_gradient(values, head):
    q, k, v, logsumexp, mean, cotangent, *bias = values
    group = q.shape[2] // k.shape[2]
    weights = np.exp(_scores(q, k, bias, head) - logsumexp[..., None])

    def of_keys(x):
        return x.reshape(*x.shape[:2], -1, group, x.shape[3]).sum(3)

    if "of value" in head:
        return of_keys(np.einsum("bhst,bshe->bthe", weights, cotangent))
    change = np.einsum("bshe,bthe->bhst", cotangent, np.repeat(v, group, axis=2)) - mean[..., None]
    change *= weights * _number(head, "scale")
    if "of key" in head:
        return of_keys(np.einsum("bhst,bshd->bthd", change, q))
    return np.einsum("bhst,bthd->bshd", change, np.repeat(k, group, axis=2))


_CUMULATIVE = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


def _cumulative(head, x, dim):
    x = np.flip(x, dim) if "reverse" in head else x
    result = _CUMULATIVE[head.split()[0]].accumulate(x, axis=dim)
    if "exclusive" in head:
        first = {"sum": 0, "prod": 1, "max": -np.inf, "min": np.inf}[head.split()[0]]
        if x.dtype.kind != "f" and head.split()[0] in ("max", "min"):
            bounds = np.iinfo(x.dtype)
            first = bounds.min if head.startswith("max") else bounds.max
        result = np.roll(result, 1, dim)
        result[(slice(None),) * dim + (0,)] = first
    return np.flip(result, dim) if "reverse" in head else result


def _softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def _box(shape, starts, sizes):
    firsts = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, shape, sizes)]
    return tuple(slice(s, s + k) for s, k in zip(firsts, sizes))


def _dims_and_batch(head):
    dims, *batch = _lists(re.search(r"dims (.*)", head).group(1))
    return dims, list(zip(*batch))


def _points(shape, at, dims, batch):
    """Index arrays of all dimensions, of the shape of the slices, and which points exist."""
    paired = {b: a for a, b in batch}
    # What each dimension of the slices is: ("s", of the source) or ("i", of the indices).
    labels = []
    for d in range(len(shape)):
        if d == dims[0]:
            labels += [("i", i) for i in range(at[0].ndim) if i not in paired]
        if d not in dims:
            labels.append(("s", d))
    sizes = [shape[d] if kind == "s" else at[0].shape[d] for kind, d in labels]
    grid = dict(zip(labels, np.indices(sizes)))
    where = tuple(grid[("s", paired[i]) if i in paired else ("i", i)] for i in range(at[0].ndim))
    points, exist = [], np.ones(sizes, bool)
    for d in range(len(shape)):
        if d in dims:
            index = np.broadcast_to(at[dims.index(d)].astype(np.int64)[where], sizes)
            exist &= (index >= 0) & (index < shape[d])
            points.append(np.clip(index, 0, shape[d] - 1))
        else:
            points.append(grid["s", d])
    return tuple(points), exist


def _gather(table, at, dims, batch):
    points, exist = _points(table.shape, at, dims, batch)
    return np.where(exist, table[points], np.zeros((), table.dtype))


_UPDATES = {"add": np.add, "max": np.maximum, "min": np.minimum}


def _scatter(kind, table, at, new, dims, batch):
    points, exist = _points(table.shape, at, dims, batch)
    points, new = tuple(p[exist] for p in points), new[exist]
    result = table.copy()
    if kind == "set":
        result[points] = new
    else:
        _UPDATES[kind].at(result, points, new)
    return result


def _argsort(x, dim, descending):
    if not descending:
        return np.argsort(x, dim, kind="stable")
    # Equal elements keep their order.
    return x.shape[dim] - 1 - np.flip(np.argsort(np.flip(x, dim), dim, kind="stable"), dim)


def _apply(op, rest, operands, shape, dtype):  # noqa: C901 (one branch per op)
    head = rest.split(" : ")[0]
    wide = [o.astype(np.float64) if o.dtype.kind in "fV" and o.dtype != np.float64 else o
            for o in operands]
    lists = _lists(head)
    if op == "nextafter":
        return REFERENCES[op](*operands)
    if op in REFERENCES:
        return REFERENCES[op](*wide)
    if op == "compare":
        return _COMPARE[head.split()[0]](*wide)
    if op == "select":
        return np.where(*operands)
    if op == "convert":
        if dtype == np.bool_:
            return wide[0] != 0
        return np.trunc(wide[0]) if dtype.kind == "i" and wide[0].dtype.kind == "f" else wide[0]
    if op == "constant":
        return _constant(rest, shape, dtype)
    if op == "iota":
        dim = int(head.split()[1])
        return np.broadcast_to(
            np.arange(shape[dim]).reshape([-1 if i == dim else 1 for i in range(len(shape))]), shape)
    if op == "contract":
        return np.einsum(re.search(r'"(.*?)"', head).group(1), *wide)
    if op == "reduce":
        return _REDUCE[head.split()[0]](wide[0], axis=tuple(lists[-1]))
    if op == "cumulative":
        return _cumulative(head, wide[0], int(re.search(r"dim (\d+)", head).group(1)))
    if op == "reshape":
        return operands[0].reshape(shape)
    if op == "transpose":
        return operands[0].transpose(lists[0])
    if op == "broadcast":
        full = [1] * len(shape)
        for position, size in zip(lists[0], operands[0].shape):
            full[position] = size
        return np.broadcast_to(operands[0].reshape(full), shape)
    if op == "slice":
        return operands[0][tuple(slice(*b) for b in zip(*lists))]
    if op == "concatenate":
        return np.concatenate(operands, int(re.search(r"dim (\d+)", head).group(1)))
    if op == "pad":
        value = re.search(r"value (\S+)", head).group(1)
        return np.pad(wide[0], list(zip(*lists)),
                      constant_values={"true": True, "false": False}.get(value) if dtype == np.bool_
                      else float(value))
    if op == "gather":
        table, *at = operands
        return _gather(table, at, *_dims_and_batch(head))
    if op == "scatter":
        table, *at, new = operands
        return _scatter(head.split()[0], table, at, new, *_dims_and_batch(head))
    if op == "argsort":
        return _argsort(operands[0], int(re.search(r"dim (\d+)", head).group(1)), "descending" in head)
    if op == "dynamic_slice":
        x, *starts = operands
        return x[_box(x.shape, starts, shape)]
    if op == "dynamic_update_slice":
        x, *starts, new = operands
        result = x.copy()
        result[_box(x.shape, starts, new.shape)] = new
        return result
    if op == "gelu":
        x = wide[0]
        if "tanh" in head:
            return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
        return 0.5 * x * (1 + erf(x / np.sqrt(2)))
    if op == "softmax":
        return _softmax(wide[0], int(head.split()[-1]))
    if op == "logsumexp":
        x, dim = wide[0], int(re.search(r"dim (\d+)", head).group(1))
        top = x.max(dim, keepdims=True)
        return np.log(np.exp(x - top).sum(dim)) + np.squeeze(top, dim)
    if op == "layer_norm":
        x, scale, bias = wide
        off = x - x.mean(-1, keepdims=True)
        return off / np.sqrt((off**2).mean(-1, keepdims=True) + _number(head, "epsilon")) * scale + bias
    if op == "rms_norm":
        x, scale = wide
        return x / np.sqrt((x**2).mean(-1, keepdims=True) + _number(head, "epsilon")) * scale
    if op == "attention":
        return _attention(wide, head)
    if op == "attention_logsumexp":
        return np.log(np.exp(_scores(*wide[:2], wide[2:], head)).sum(-1))
    if op == "attention_gradient":
        return _attention_gradient(wide, head)
    if op in ("constrain", "stop_gradient"):
        return operands[0]
    raise NotImplementedError(op)


_NAMES = re.compile(r"%(?:arg)?\d+(?:#\d+)?")
_CONTROL = re.compile(r"^\s*(?:(%\d+)(?::\d+)? = )?tessera\.(scan|while|cond) (.*)\{$")


def _region(lines):
    """Arguments, body and yielded values of the region that `lines` go on with."""
    arguments, body, depth = [], [], 0
    for line in lines:
        text = line.strip()
        if text.startswith("}") and not depth:
            return arguments, body, line
        depth += text.endswith("{") - text.startswith("}")
        if text.startswith("^bb0(") and not depth:
            arguments = [found for found in re.findall(r"(%\d+): ", text)]
        else:
            body.append(line)
    raise AssertionError("a region without an end")


def _called(region, given, outer):
    """What a region yields for its arguments, where the values `outer` are in scope."""
    arguments, body, _ = region
    assert len(arguments) == len(given)
    return _evaluate(body, {**outer, **dict(zip(arguments, given))})


def _control(op, head, regions, values):
    """The results of an op with regions."""
    names = head.split(" : ")[0]
    if op == "cond":
        at = values[_NAMES.findall(names)[0]]
        return _called(regions[int(np.clip(at, 0, len(regions) - 1))], [], values)
    carried = [values[v] for v in _NAMES.findall(names.split(") over (")[0])]
    if op == "while":
        while _called(regions[0], carried, values)[0]:
            carried = _called(regions[1], carried, values)
        return carried
    sequences = [values[v] for v in _NAMES.findall(names.split(") over (")[1])]
    length, rows = int(re.search(r"length (\d+)", names)[1]), {}
    for i in reversed(range(length)) if names.endswith("reverse") else range(length):
        out = _called(regions[0], [np.int32(i), *carried, *[s[i] for s in sequences]], values)
        carried, rows[i] = out[: len(carried)], out[len(carried) :]
    return carried + [np.stack(row) for row in zip(*[rows[i] for i in sorted(rows)])]


def _evaluate(lines, values):
    """What the lines return or yield."""
    lines = iter(lines)
    for line in lines:
        control = _CONTROL.match(line)
        found = None if control else _OP.match(line)
        if control:
            regions = [_region(lines)]
            while regions[-1][2].endswith("{"):
                regions.append(_region(lines))
            results = _control(control[2], control[3], regions, values)
            names = [control[1]] if len(results) == 1 else [f"{control[1]}#{i}" for i in range(len(results))]
            values.update(zip(names, results))
        elif found:
            name, op, rest = found.groups()
            shape, dtype = _type(rest)
            operands = [values[v] for v in _NAMES.findall(rest)]
            with np.errstate(all="ignore"):
                result = np.asarray(_apply(op, rest, operands, shape, dtype))
            assert result.shape == shape, f"{line}: evaluates to {result.shape}"
            values[name] = result.astype(dtype)
        elif line.strip().startswith(("return", "tessera.yield")):
            return [values[v] for v in _NAMES.findall(line.partition(" : ")[0])]
    raise AssertionError("no return")


def evaluate(text, inputs):
    """The results of @main on whole tensors."""
    values = {f"%arg{i}": np.asarray(value) for i, value in enumerate(inputs)}
    return _evaluate(text.splitlines(), values)


def run(lowered, *args):
    """The only result of a lowered function, by NumPy."""
    import tessera as ts

    return evaluate(lowered.program.text, [*ts.tree.flatten((args, {}))[0], *lowered.program.captured])[0]


def results(function, *args):
    """The results of a function of arrays, by NumPy, in its structure."""
    import tessera as ts

    program = ts.jit(function).lower(*args).program
    inputs = [*ts.tree.flatten((args, {}))[0], *program.captured]
    return ts.tree.unflatten(program.result_tree, evaluate(program.text, inputs))
