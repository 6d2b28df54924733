# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A matrix product in Triton, tuned over a few tile sizes, as a peer.

Source: Triton's tutorial "Matrix Multiplication" (tiles in groups of rows for the L2 cache).
"""

import torch
import triton
import triton.language as tl

CONFIGS = [triton.Config({"BM": bm, "BN": bn, "BK": bk, "GROUP": 8}, num_warps=warps,
                         num_stages=stages)
           for bm, bn, bk, warps, stages in ((128, 256, 64, 8, 3), (128, 128, 64, 4, 4),
                                             (128, 128, 32, 8, 4), (64, 128, 32, 4, 4),
                                             (64, 64, 32, 4, 3))]


def _those_that_fit(configs: list, arguments: dict, **_) -> list:
    """f32 tiles 64 deep need more shared memory than there is, and minutes to compile."""
    return [c for c in configs if arguments["x"].element_size() == 2 or c.kwargs["BK"] == 32]


@triton.autotune(configs=CONFIGS, key=["m", "n", "k"],
                 prune_configs_by={"early_config_prune": _those_that_fit})
@triton.jit
def _product_nt(x, y, out, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
                GROUP: tl.constexpr):
    program = tl.program_id(0)
    tiles = GROUP * tl.cdiv(n, BN)
    first = program // tiles * GROUP
    rows = tl.minimum(tl.cdiv(m, BM) - first, GROUP)
    i = (first + program % tiles % rows) * BM + tl.arange(0, BM)
    j = program % tiles // rows * BN + tl.arange(0, BN)
    p = tl.arange(0, BK)
    x_at = x + i[:, None] * k + p[None, :]
    y_at = y + j[None, :] * k + p[:, None]
    total = tl.zeros((BM, BN), tl.float32)
    for _ in range(0, k, BK):
        # f32 stays f32; other types do not look at the precision.
        total = tl.dot(tl.load(x_at), tl.load(y_at), total, input_precision="ieee")
        x_at += BK
        y_at += BK
    tl.store(out + i[:, None] * n + j[None, :], total.to(out.dtype.element_ty))


def product_nt(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """x @ y.T for sizes that every tile divides."""
    (m, k), n = x.shape, y.shape[0]
    assert m % 128 == 0 and n % 256 == 0 and k % 64 == 0
    out = torch.empty((m, n), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(m, meta["BM"]) * triton.cdiv(n, meta["BN"]),)  # noqa: E731
    _product_nt[grid](x, y, out, m, n, k)
    return out
