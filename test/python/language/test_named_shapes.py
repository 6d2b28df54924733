# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Shapes that do not fit are refused with the names of arguments and of their dimensions."""

import numpy as np
import pytest

import tessera as ts
from refusals import check


@pytest.mark.parametrize("code, function, said", [
    ("TS3013", lambda x, w: x @ w,
     "matmul: the inner sizes differ: 'D' = 6 of x [B=4, D=6] and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: x.T @ w, "'B' = 4 of x.T [D=6, B=4] and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: x.astype(ts.bf16) @ w.astype(ts.bf16),
     "'D' = 6 of x [B=4, D=6] and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: ts.exp(x * 2) @ w, "'D' = 6 of [B=4, D=6] and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: (x @ x.T) @ w, "'B' = 4 of [B=4, B=4] and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: x.sum(0) @ w, "'D' = 6 of [D=6] and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: x.reshape(6, 4) @ w, "4 of (6, 4) and 'E' = 5 of w [E=5, H=7]"),
    ("TS3013", lambda x, w: ts.nn.linear(x, w), "input x [B=4, D=6], weight w [E=5, H=7]"),
    ("TS3013", lambda x, w: ts.tensordot(x, w, 1), "tensordot of x [B=4, D=6] and w [E=5, H=7]"),
    ("TS3014", lambda x, w: ts.einsum("bd,dh->bh", x, w),
     "'d' is 'D' = 6 of x [B=4, D=6] in operand 0 and 'E' = 5 of w [E=5, H=7] in operand 1"),
    ("TS3014", lambda x, w: ts.einsum("bd,d->b", x, w), 'operand 1 is w [E=5, H=7], its indices "d"'),
    ("TS3006", lambda x, w: x + w,
     "'D' = 6 of x [B=4, D=6] and 'H' = 7 of w [E=5, H=7]"),
    ("TS3006", lambda x, w: ts.where(x > 0, 1.0, w), "'D' = 6 of [B=4, D=6] and 'H' = 7 of w [E=5, H=7]"),
    ("TS3006", lambda x, w: x[:, None] @ w[:, :, None][:, :6],
     "4 of (4, 1, 6) and 5 of (5, 6, 1) in dimension -3"),
    ("TS3009", lambda x, w: ts.concatenate([x, w]), "dimension 0: x [B=4, D=6], w [E=5, H=7]"),
    ("TS3009", lambda x, w: ts.stack([x, w]), "x [B=4, D=6], w [E=5, H=7]"),
])
def test_misfits_name_both_arguments_and_both_dimensions(code, function, said):
    def f(x: ts.MeshTensor["B", "D"], w: ts.MeshTensor["E", "H"]):
        return function(x, w)

    with pytest.raises(ts.ShapeError) as caught:
        ts.jit(f).lower(np.ones((4, 6), np.float32), np.ones((5, 7), np.float32))
    check(caught, code, said)


def test_misfits_of_arguments_without_annotations_name_the_arguments():
    with pytest.raises(ts.ShapeError) as caught:
        x, weights = np.ones((2, 3), np.float32), {"w": np.ones((5, 7), np.float32)}
        ts.jit(lambda x, p: x @ p["w"]).lower(x, weights)
    check(caught, "TS3013", "3 of x (2, 3) and 5 of p.w (5, 7)")
