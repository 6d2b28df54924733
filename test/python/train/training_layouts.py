# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A small GPT-2, trained by AdamW with clipping and dropout, in a layout."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tessera as ts

TEXT = Path(__file__).parents[3] / "LICENSE"
LENGTH, BATCH, MICRO = 16, 4, 2
LAYERS, WIDTH, VOCABULARY = 3, 32, 256


@dataclass(frozen=True)
class Layout:
    """Sizes of the mesh's axes, and the policies of ts.nn.Parallel."""

    dp: int = 1
    tp: int = 1
    sequence: bool = False
    save_gathered: bool = True
    zero: int = 0

    def __str__(self) -> str:
        parts = [f"dp{self.dp} tp{self.tp}", "sequence" * self.sequence, f"zero{self.zero}" * bool(self.zero)]
        return " ".join(part for part in [*parts, "regathered" * (not self.save_gathered)] if part)

    @property
    def mesh(self) -> ts.Mesh | None:
        sizes = {name: size for name, size in (("dp", self.dp), ("tp", self.tp)) if size > 1}
        return ts.make_mesh(sizes) if sizes else None

    @property
    def parallel(self) -> ts.nn.Parallel:
        return ts.nn.Parallel(sequence=self.sequence, save_gathered=self.save_gathered, zero=self.zero)


class Training:
    """Weights, state and compiled step of one layout."""

    def __init__(self, layout: Layout, dtype: np.dtype, *, micro: int = MICRO, dropout: float = 0.1):
        self.layout, self.micro, mesh = layout, micro, layout.mesh
        config = {"n_embd": WIDTH, "n_head": 4, "n_layer": LAYERS, "n_positions": LENGTH,
                  "vocab_size": VOCABULARY, "resid_pdrop": dropout, "embd_pdrop": dropout}
        model = ts.models.GPT2(config, dtype=dtype, parallel=layout.parallel)
        self.model = model.init(ts.random.key(0), mesh=mesh)
        self.optimizer = ts.optim.AdamW(ts.optim.cosine(1e-3, warmup=20, total=200), weight_decay=0.1,
                                        zero="dp" if layout.zero else None)
        self.state = self.optimizer.init(self.model)
        batch = ts.P(None, "dp" if layout.dp > 1 else None, None)
        self.step = ts.jit(self._step, mesh=mesh, donate_argnums=(0, 1),
                           in_shardings=None if mesh is None else (None, None, batch, None))

    def _step(self, model, state, tokens, key):
        def loss_of(model, tokens, key):
            logits = model(tokens[:, :-1], key=key)
            return ts.nn.softmax_cross_entropy(logits, tokens[:, 1:], reduction="mean")

        def add(total, given):
            part = ts.value_and_grad(loss_of)(model, given[0], ts.random.fold_in(key, given[1]))
            return ts.tree.map(lambda t, p: t + p / self.micro, total, part), None

        zeros = (ts.zeros((), tree_dtype(model)), ts.tree.map(ts.zeros_like, model))
        (loss, gradients), _ = ts.scan(add, zeros, (tokens, ts.arange(self.micro)))
        gradients, norm = ts.optim.clip_by_global_norm(gradients, 1.0)
        model, state = self.optimizer.update(gradients, state, model)
        return model, state, loss, norm

    def tokens(self, number: int) -> np.ndarray:
        """Of a step: [micro batches, batch, length + 1], from the text."""
        text = np.frombuffer(TEXT.read_bytes(), np.uint8)
        starts = np.random.default_rng(number).integers(0, len(text) - LENGTH, (self.micro, BATCH, 1))
        return text[starts + np.arange(LENGTH + 1)].astype(np.int32)

    def arguments(self, number: int) -> tuple:
        return self.model, self.state, self.tokens(number), ts.random.fold_in(ts.random.key(1), number)

    def run(self, steps: int) -> np.ndarray:
        """Loss and norm of the gradient of each step."""
        curve = []
        for number in range(steps):
            self.model, self.state, *numbers = self.step(*self.arguments(number))
            curve.append([float(n) for n in numbers])
        return np.array(curve)


# Eight layouts, of every policy.
LAYOUTS = [Layout(dp=2), Layout(tp=2), Layout(dp=2, tp=2), Layout(tp=4, sequence=True),
           Layout(dp=2, tp=2, sequence=True, save_gathered=False), Layout(dp=4, zero=1),
           Layout(dp=2, tp=2, sequence=True, zero=2), Layout(dp=2, tp=2, zero=3)]
# How far loss and norm of the gradient of a step may be from those of one device, relatively.
BOUNDS = {"f64": 1e-11, "f32": 5e-5}


def check_curves(name: str, steps: int, layouts: Sequence[Layout] = LAYOUTS) -> None:
    """Raises unless these layouts give the curves of one device, in the type of this name."""
    dtype = {"f64": ts.f64, "f32": ts.f32}[name]
    one = Training(Layout(), dtype).run(steps)
    assert one[-1, 0] < one[0, 0] - min(steps, 100) / 100  # It learns.
    for layout in layouts:
        curve = Training(layout, dtype).run(steps)
        np.testing.assert_allclose(curve, one, rtol=BOUNDS[name], atol=0, err_msg=str(layout))


def digest_of(layout: Layout, steps: int) -> str:
    """Of the weights, the state and all numbers after some steps in f32."""
    training = Training(layout, ts.f32)
    digest = hashlib.sha256(training.run(steps).tobytes())
    for leaf in ts.tree.leaves((training.model, training.state)):
        digest.update(np.asarray(leaf).tobytes())
    return digest.hexdigest()


def tree_dtype(model) -> np.dtype:
    return ts.tree.leaves(model)[0].dtype
