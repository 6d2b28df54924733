# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Choosing the next token by its logits."""

from __future__ import annotations

import math
from typing import Any

from tessera._src.core import dtypes
from tessera._src.ops import elementwise, reductions, rng, sorting
from tessera._src.tracing.operands import convert, lift


def choose(logits: Any, key: Any, temperature: Any, top_k: int | None, top_p: Any) -> Any:
    """A token for each row of logits [batch, vocabulary]: i32 [batch].

    Drawn by adding Gumbel noise and taking the largest (Gumbel 1954), which needs no sum.

    Args:
        key: of the draw; None takes the largest logit.
        temperature: what logits are divided by.
        top_k: how many of the largest logits may be chosen; None for all.
        top_p: the probability that the most likely tokens, of which one is chosen, have together at least;
            None for all.
    """
    scores = convert(lift(logits), dtypes.f32)
    if key is None:
        return convert(reductions.argmax(scores, -1), dtypes.i32)
    scores = scores / temperature
    if top_k is not None and top_k < scores.shape[-1]:
        least = sorting.top_k(scores, top_k)[0][..., -1:]
        scores = elementwise.where(scores >= least, scores, -math.inf)
    if top_p is not None:
        ordered = -sorting.sort(-scores, -1)
        chances = reductions.softmax(ordered, -1)
        before = reductions.cumsum(chances, -1) - chances
        # The most likely one always stays.
        kept = elementwise.where(before < top_p, ordered, math.inf)
        scores = elementwise.where(scores >= reductions.min(kept, -1, keepdims=True), scores, -math.inf)
    noise = -elementwise.log(-elementwise.log(rng.uniform(key, scores.shape, minval=1e-20)))
    return convert(reductions.argmax(scores + noise, -1), dtypes.i32)
