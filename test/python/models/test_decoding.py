# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decoding with a cache of keys and values: a step writes its own row of it, wherever it stands."""

import re

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime
from tessera._src.programs import native, runtime

pytestmark = needs_runtime

LAYERS, HEADS, SIZE, WORDS = 2, 2, 8, 11
WIDTH = HEADS * SIZE


def parameters() -> dict:
    rng = np.random.default_rng(5)

    def draw(*shape):
        return (rng.standard_normal(shape) / np.sqrt(shape[0])).astype(np.float32)

    layers = [{"qkv": draw(WIDTH, 3 * WIDTH), "out": draw(WIDTH, WIDTH), "up": draw(WIDTH, 4 * WIDTH),
               "down": draw(4 * WIDTH, WIDTH)} for _ in range(LAYERS)]
    return {"words": draw(WORDS, WIDTH) * 3, "layers": layers}


def empty_cache(positions: int) -> list:
    return [(np.zeros((positions, HEADS, SIZE), np.float32),) * 2 for _ in range(LAYERS)]


def step(cache, params, word, at):
    """The next cache, and the scores of the next word."""
    x, after = params["words"][word], []
    seen = ts.where(ts.arange(cache[0][0].shape[0]) <= at, 0.0, -np.inf)
    for (keys, values), layer in zip(cache, params["layers"]):
        q, k, v = (part.reshape(HEADS, SIZE) for part in ts.split(x @ layer["qkv"], 3))
        keys, values = keys.at[at].set(k), values.at[at].set(v)
        x = x + ts.nn.attention(q[None, None], keys[None], values[None], seen).reshape(-1) @ layer["out"]
        x = x + ts.maximum(x @ layer["up"], 0) @ layer["down"]
        after.append((keys, values))
    return after, x @ params["words"].T


def reference(params, words):
    """The scores after each word, computed from all words so far."""
    result, past = [], [([], []) for _ in range(LAYERS)]
    for word in words:
        x = params["words"][word].astype(np.float64)
        for (keys, values), layer in zip(past, params["layers"]):
            q, k, v = (part.reshape(HEADS, SIZE) for part in np.split(x @ layer["qkv"], 3))
            keys.append(k), values.append(v)
            scores = np.exp(np.einsum("hd,thd->ht", q, keys) / np.sqrt(SIZE))
            mixed = np.einsum("ht,thd->hd", scores / scores.sum(1, keepdims=True), values)
            x = x + mixed.reshape(-1) @ layer["out"]
            x = x + np.maximum(x @ layer["up"], 0) @ layer["down"]
        result.append(x @ params["words"].T)
    return result


@pytest.mark.parametrize("positions", [128, 4096])
@pytest.mark.parametrize("mesh", [None, ts.make_mesh({"tp": 2})], ids=["one", "tp2"])
def test_words_are_decoded_into_a_donated_cache(positions, mesh):
    params = parameters()
    layout = {} if mesh is None else {
        "mesh": mesh, "in_shardings": {"cache": ts.P(None, "tp")},
        "out_shardings": (ts.P(None, "tp"), ts.P())}
    function = ts.jit(step, donate_argnums=0, **layout)
    words = [3, 1, 4, 1, 5, 9]
    wanted = reference(params, words)
    cache = empty_cache(positions)
    ties = function.lower(cache, params, 0, 0)._report("plan")["ties"]
    assert [tie["inPlace"] for tie in ties] == [True] * 2 * LAYERS
    for at, word in enumerate(words):
        cache, scores = function(cache, params, np.int32(word), np.int32(at))
        np.testing.assert_allclose(scores, wanted[at], rtol=2e-5, atol=2e-5)
    keys = np.asarray(cache[0][0])
    assert (keys[: len(words)] != 0).all() and (keys[len(words) :] == 0).all()


def written_outside_attention(positions: int) -> dict[str, int]:
    """Bytes that a step's kernels store on a GPU, counted as they run; the mask is attention's."""
    arguments = empty_cache(positions), parameters(), np.int32(3), np.int32(positions - 1)
    lowered = ts.jit(step, donate_argnums=0, target="emulated:sm_90a").lower(*arguments)
    plan = lowered.as_text("plan")
    assert "plan.copy" not in plan
    (mask,) = set(re.findall(r"launch @\S*attention\S* .*, (%\d+)\) to", plan))
    (maker,) = re.findall(rf"launch @(\S+) .* to\({mask}\)", plan)
    executable = runtime.Executable(lowered.compile(device="emulated")._artefact, device="emulated",
                                    profile=True)
    leaves = [np.array(leaf) for leaf in ts.tree.flatten((arguments, {}))[0]]
    executable.run([word for leaf in leaves for word in (native.pointer_of(leaf), 0)])
    return {f"{row['kernel']}, argument {row['argument']}": row["leastSectors"] * 32
            for row in executable.report()["traffic"]
            if row["kind"] == "store" and "attention" not in row["kernel"] and row["kernel"] != maker}


def test_a_step_writes_as_much_for_few_and_many_positions():
    few, many = written_outside_attention(128), written_outside_attention(4096)
    assert few == many
    assert sum(few.values()) > 4 * LAYERS * WIDTH  # Its rows of the cache are among them.


@pytest.mark.parametrize("family", ["GPT2", "Llama"])
def test_a_cache_on_a_mesh_is_split_by_heads_and_never_gathered(family):
    config = {"GPT2": {"n_embd": 8, "n_head": 4, "n_layer": 2, "vocab_size": 11, "n_positions": 32},
              "Llama": {"hidden_size": 8, "num_attention_heads": 4, "num_key_value_heads": 2,
                        "num_hidden_layers": 2, "intermediate_size": 12, "vocab_size": 11}}[family]
    mesh = ts.make_mesh({"tp": 2})
    model = getattr(ts.models, family)(config).init(ts.random.key(0), mesh=mesh)
    cache = ts.jit(lambda model: model.empty_cache(3, 16), mesh=mesh)(model)
    step = ts.jit(lambda model, tokens, cache: model.decode(tokens, cache), mesh=mesh, donate_argnums=2)
    tokens = np.zeros((3, 1), np.int32)
    _, after = step(model, tokens, cache)
    assert after.keys.sharding.spec == after.values.sharding.spec == ts.P(None, None, None, "tp")
    kinds = {c["kind"] for c in step.lower(model, tokens, after).collectives() if len(c["shape"]) > 3}
    assert not kinds, kinds
