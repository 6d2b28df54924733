# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights, gradients, and runs of optimizers here and in PyTorch on both."""

import numpy as np

import tessera as ts

SHAPES = {"layers": [{"w": (2, 3), "b": (3,)}, {"w": (3, 5), "b": (5,)}], "scale": ()}


def draw(seed, dtype=np.float64, shapes=SHAPES):
    """A tree of random numbers."""
    rng = np.random.default_rng(seed)

    def make(value):
        if isinstance(value, tuple):
            return np.asarray(rng.standard_normal(value)).astype(dtype)
        if isinstance(value, list):
            return [make(item) for item in value]
        return {name: make(item) for name, item in value.items()}

    return make(shapes)


def trained(optimizer, dtype, steps, weights=None, **jit_options):
    """Weights and state after some updates by random gradients, in one compiled program."""
    weights = draw(0, dtype) if weights is None else weights
    state = optimizer.init(weights)
    step = ts.jit(lambda weights, state, grads: optimizer.update(grads, state, weights),
                  donate_argnums=(0, 1), **jit_options)
    for i in range(steps):
        weights, state = step(weights, state, draw(i + 1, dtype))
    assert len(step._programs) == 1 and sum(map(len, step._programs.values())) == 1
    return weights, state


def torch_trained(torch, make, dtype, steps, rate=None, decays=lambda w: True):
    """The same in PyTorch: weights as arrays, and by name what the optimizer keeps for them.

    Args:
        make: the optimizer of lists of parameters.
        rate: the learning rate of each step.
    """
    tree = draw(0, dtype)
    params = [torch.tensor(w, requires_grad=True) for w in ts.tree.leaves(tree)]
    groups = [{"params": [p for p in params if decays(p)]},
              {"params": [p for p in params if not decays(p)], "weight_decay": 0.0}]
    optimizer = make([group for group in groups if group["params"]])
    for i in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = group["lr"] if rate is None else rate(i)
        for p, g in zip(params, ts.tree.leaves(draw(i + 1, dtype))):
            p.grad = torch.tensor(g)
        optimizer.step()
    kept = {name: [optimizer.state[p][name].numpy() for p in params] for name in optimizer.state[params[0]]
            if name != "step" and optimizer.state[params[0]][name] is not None}
    return [p.detach().numpy() for p in params], kept


def off(got, wanted):
    """The largest difference of two trees of arrays of one scale, relative to their largest element."""
    pairs = list(zip(map(_wide, ts.tree.leaves(got)), map(_wide, ts.tree.leaves(wanted)), strict=True))
    return max(np.abs(a - b).max() for a, b in pairs) / max(np.abs(b).max() for _, b in pairs)


def _wide(array):
    return np.asarray(array).astype(np.float64)
