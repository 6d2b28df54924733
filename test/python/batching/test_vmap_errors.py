# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Mistakes with ts.vmap: one error each, at the user's line, with the way out."""

import numpy as np
import pytest

import tessera as ts
from conftest import needs_compiler
from tessera._src.core.errors import TesseraError

pytestmark = needs_compiler

X, Y, W = np.ones((4, 3)), np.ones((5, 3)), np.ones((3, 2))
FLAGS = np.array([True, False, True, True])


def printing(x):
    ts.debug.print("{}", x)
    return x


def counted(x):
    return ts.while_loop(lambda s: s.sum() < 9, printing, x)


MISTAKES = {
    "sizes": (lambda: ts.vmap(lambda x, y: x + y)(X, Y),
              ["different numbers of entries", "x: 4, y: 5", "None"]),
    "axis size": (lambda: ts.vmap(lambda x: x, axis_size=3)(X), ["x: 4 and axis_size=3"]),
    "no entries": (lambda: ts.vmap(lambda x: x, None)(X), ["no argument with entries", "axis_size"]),
    "axis": (lambda: ts.vmap(lambda x: x, 2)(X), ["argument 'x' axis 2", "(4, 3)", "[-2, 1]"]),
    "negative axis": (lambda: ts.vmap(lambda x: x, -3)(X), ["argument 'x' axis -3"]),
    "scalar": (lambda: ts.vmap(lambda x, s: x * s)(X, 2.0), ["argument 's'", "float", "None in in_axes"]),
    "scalar array": (lambda: ts.vmap(lambda x, s: x * s)(X, np.float64(2)),
                     ["argument 's'", "None in in_axes"]),
    "count": (lambda: ts.vmap(lambda x, y: x, (0,))(X, Y), ["has 1 entries", "2 positional arguments"]),
    "structure": (lambda: ts.vmap(lambda p: p["a"], ({"b": 0},))({"a": X}),
                  ["in_axes of ts.vmap at '0'", "another structure", "{'a': array}"]),
    "entry": (lambda: ts.vmap(lambda x, y: x, (0, "y"))(X, Y),
              ["in_axes of ts.vmap at '1' is 'y'", "an integer"]),
    "kind": (lambda: ts.vmap(lambda x: x, "x")(X), ["in_axes of ts.vmap is 'x'", "an integer", "None"]),
    "out axis": (lambda: ts.vmap(lambda x: x, 0, 2)(X), ["gives the result axis 2", "[-2, 1]"]),
    "out structure": (lambda: ts.vmap(lambda x: (x, x), 0, (0, 0, 0))(X), ["out_axes", "another structure"]),
    "out None": (lambda: ts.vmap(lambda x, y: (y, x), (0, None), (None, None))(X, Y),
                 ["out_axes of ts.vmap is None for result '1'", "differs from entry to entry"]),
    "function": (lambda: ts.vmap(3), ["a int, not a function"]),
    "size kind": (lambda: ts.vmap(lambda x: x, axis_size=0), ["axis_size of ts.vmap is 0"]),
    "result": (lambda: ts.vmap(lambda x: "text")(X), ["a str, not an array"]),
    "mesh axis": (lambda: ts.vmap(lambda x: x, spmd_axis_name="dq")(X), ["no axis 'dq'", "spmd_axis_name"]),
    "mesh axis that is none": (lambda: ts.vmap(lambda x: x, spmd_axis_name=3),
                               ["spmd_axis_name of ts.vmap is 3", "an axis of the mesh"]),
    "mesh axes that are none": (lambda: ts.vmap(lambda x: x, spmd_axis_name=("dp", 3)),
                                ["spmd_axis_name of ts.vmap is ('dp', 3)"]),
    "print in cond": (lambda: ts.vmap(lambda p, x: ts.cond(p, printing, lambda x: x, x))(FLAGS, X),
                      ["a print or check", "all branches"]),
    "print in while": (lambda: ts.vmap(counted)(X), ["a print or check", "that have ended"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(name):
    mistake, words = MISTAKES[name]
    with pytest.raises(TesseraError) as caught:
        mistake()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert __file__.rsplit("/", 1)[1] in text, text


def test_an_axis_that_a_layout_uses_already():
    mesh = ts.make_mesh({"dp": 2, "tp": 2})

    def f(x):
        return ts.vmap(lambda r: ts.with_sharding_constraint(r * 2, ts.P("dp")), spmd_axis_name="dp")(x)

    with pytest.raises(TesseraError, match="uses axis 'dp', along which the batch is split") as caught:
        ts.jit(f, mesh=mesh).lower(np.ones((4, 6)))
    assert "test_vmap_errors.py" in str(caught.value)
