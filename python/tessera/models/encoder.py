# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""BERT-style sentence encoders as plain functions over weights with Hugging Face's names.

Weights are a dictionary name -> array, in torch's orientation [out, in]. Only the query and the
first MLP weight of each layer are annotated (`ENCODER_SPECS`); all other layouts follow from them.
"""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np

from tessera._src.arrays.array import Array
from tessera._src.core import dtypes, errors
from tessera._src.functions import jit
from tessera._src.meshes import mesh as meshes
from tessera._src.meshes.mesh import PartitionSpec as P
from tessera._src.models import checkpoint, configuration
from tessera._src.models.sentences import SentenceSettings, read_settings
from tessera._src.nn.blocks import activation_of
from tessera._src.ops import elementwise, lookups, neural

ENCODER_SPECS: dict[str, P] = {
    "encoder.layer.*.attention.self.query.weight": P("tp", None),
    "encoder.layer.*.intermediate.dense.weight": P("tp", None),
}
_IGNORED = ("embeddings.position_ids", "pooler.*")


@dataclass(frozen=True)
class EncoderConfig:
    """The fields of config.json that determine the computation."""

    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_hidden_layers: int
    vocab_size: int
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    hidden_act: str = "gelu"
    layer_norm_eps: float = 1e-12

    @property
    def head_size(self) -> int:
        """Elements of a query, key or value of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def from_json(cls, path: str | os.PathLike) -> EncoderConfig:
        """Reads and checks config.json."""
        return cls.from_dict(configuration.read_json(path), str(path))

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "the configuration") -> EncoderConfig:
        """The configuration, checked."""
        config = configuration.from_mapping(cls, data, where, ("bert",))
        if data.get("position_embedding_type", "absolute") != "absolute":
            raise errors.ConfigError("TS4008", f"{where} has position embeddings of type "
                                     f"'{data['position_embedding_type']}'", choices=["absolute"])
        activation_of(config.hidden_act)
        configuration.check_divides(config, "hidden_size", "num_attention_heads")
        return config


def weight_shapes(config: EncoderConfig) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight."""
    hidden, inner = config.hidden_size, config.intermediate_size
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, hidden),
    }

    def norm_shapes(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (hidden,)

    def dense_shapes(name: str, out: int, into: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (out, into), (out,)

    norm_shapes("embeddings.LayerNorm")
    for i in range(config.num_hidden_layers):
        layer = f"encoder.layer.{i}"
        for part in ("query", "key", "value"):
            dense_shapes(f"{layer}.attention.self.{part}", hidden, hidden)
        dense_shapes(f"{layer}.attention.output.dense", hidden, hidden)
        norm_shapes(f"{layer}.attention.output.LayerNorm")
        dense_shapes(f"{layer}.intermediate.dense", inner, hidden)
        dense_shapes(f"{layer}.output.dense", hidden, inner)
        norm_shapes(f"{layer}.output.LayerNorm")
    return shapes


def expand_specs(specs: Mapping[str, P], config: EncoderConfig, mesh: meshes.Mesh) -> dict[str, P]:
    """Patterns such as ENCODER_SPECS by weight; axes that the mesh lacks are left out."""
    result = {}
    for name in weight_shapes(config):
        for pattern, spec in specs.items():
            if fnmatch.fnmatchcase(name, pattern) and all(
                axis in mesh.shape for dim in spec for axis in meshes.axes_of(dim)
            ):
                result[name] = spec
    return result


def embed(params: Mapping[str, Any], input_ids: Any, token_type_ids: Any,
          config: EncoderConfig) -> Any:
    """The sum of word, position and type embeddings, normalised."""
    word = lookups.embedding(params["embeddings.word_embeddings.weight"], input_ids)
    position = params["embeddings.position_embeddings.weight"][: input_ids.shape[1]]
    kind = lookups.embedding(params["embeddings.token_type_embeddings.weight"], token_type_ids)
    return neural.norm(params, "embeddings.LayerNorm", word + position + kind,
                       config.layer_norm_eps)


def layer(params: Mapping[str, Any], name: str, x: Any, bias: Any, config: EncoderConfig) -> Any:
    """One layer: attention and MLP, each added to its input and normalised after."""
    batch, length, _ = x.shape
    heads = (batch, length, config.num_attention_heads, config.head_size)
    eps = config.layer_norm_eps
    q = neural.dense(params, f"{name}.attention.self.query", x).reshape(heads)
    k = neural.dense(params, f"{name}.attention.self.key", x).reshape(heads)
    v = neural.dense(params, f"{name}.attention.self.value", x).reshape(heads)
    mixed = neural.attention(q, k, v, bias).reshape(batch, length, config.hidden_size)
    mixed = neural.dense(params, f"{name}.attention.output.dense", mixed)
    x = neural.norm(params, f"{name}.attention.output.LayerNorm", x + mixed, eps)
    inner = neural.dense(params, f"{name}.intermediate.dense", x)
    inner = activation_of(config.hidden_act)(inner)
    out = neural.dense(params, f"{name}.output.dense", inner)
    return neural.norm(params, f"{name}.output.LayerNorm", x + out, eps)


def hidden_states(params: Mapping[str, Any], input_ids: Any, attention_mask: Any,
                  token_type_ids: Any, config: EncoderConfig) -> Any:
    """The last layer's output [batch, length, hidden]."""
    x = embed(params, input_ids, token_type_ids, config)
    keep = attention_mask.astype(x.dtype)[:, None, None, :]
    # Far below any score; f16 has no -1e9, and 0 * -inf is NaN.
    bias = (1.0 - keep) * max(-1e9, float(ml_dtypes.finfo(x.dtype).min))
    for i in range(config.num_hidden_layers):
        x = layer(params, f"encoder.layer.{i}", x, bias, config)
    return x


def sentence_embedding(params: Mapping[str, Any], input_ids: Any, attention_mask: Any,
                       token_type_ids: Any, config: EncoderConfig, is_normalised: bool = True) -> Any:
    """The mean of the hidden states of real tokens, scaled to length 1: [batch, hidden].

    Computed in f32: 16 bits cannot count the tokens of a long sentence, nor hold the bounds below.
    """
    hidden = hidden_states(params, input_ids, attention_mask, token_type_ids, config)
    x = hidden.astype(dtypes.f32)
    keep = attention_mask.astype(dtypes.f32)[:, :, None]
    mean = (x * keep).sum(axis=1) / elementwise.maximum(keep.sum(axis=1), 1e-9)
    if not is_normalised:
        return mean.astype(hidden.dtype)
    length = elementwise.sqrt((mean * mean).sum(axis=1, keepdims=True))
    return (mean / elementwise.maximum(length, 1e-12)).astype(hidden.dtype)


def check_config(config: EncoderConfig, mesh: meshes.Mesh) -> None:
    """Raises unless the attention heads divide over the mesh's axis `tp`."""
    if "tp" in mesh.shape:
        neural.check_heads(config.num_attention_heads, mesh.shape["tp"])


def check_inputs(params: Any, input_ids: Any, attention_mask: Any, token_type_ids: Any,
                 config: EncoderConfig) -> None:
    """Raises unless weights, each by its name, and tokens fit the configuration."""
    if not isinstance(params, Mapping):
        raise errors.CheckpointError("TS6006", "the weights must be a dictionary by name",
                                     got=f"a {type(params).__name__}")
    checkpoint.check_names("the dictionary of weights",
                           {name: getattr(value, "shape", None) for name, value in params.items()},
                           weight_shapes(config), _IGNORED)
    tokens = {"input_ids": input_ids, "attention_mask": attention_mask,
              "token_type_ids": token_type_ids}
    shapes = {name: getattr(value, "shape", ()) for name, value in tokens.items()}
    shape = shapes["input_ids"]
    most = config.max_position_embeddings
    if len(shape) != 2 or set(shapes.values()) != {shape}:
        raise errors.ShapeError("TS3023", "the tokens do not fit together",
                                expected="input_ids, attention_mask and token_type_ids of one shape "
                                         "[batch, length]",
                                got=", ".join(f"{name} {s}" for name, s in shapes.items()))
    if shape[1] > most:
        raise errors.ShapeError("TS3023", f"sentences of {shape[1]} tokens are longer than the model's "
                                "positions", expected=f"at most {most} (max_position_embeddings)",
                                got=f"input_ids {shape}", hint=f"cut them to {most} tokens")


class Encoder:
    """A sentence encoder: configuration, weights, and (if the folder has one) a tokenizer."""

    def __init__(self, config: EncoderConfig, params: Mapping[str, Any], tokenizer: Any = None,
                 settings: SentenceSettings | None = None):
        self.config, self.params, self.tokenizer = config, dict(params), tokenizer
        self.settings = settings or SentenceSettings(max_tokens=config.max_position_embeddings)
        self._functions: dict[tuple, jit.JittedFunction] = {}

    @classmethod
    def from_pretrained(cls, directory: str | os.PathLike, *, dtype: Any = None) -> Encoder:
        """Reads config.json, model.safetensors and tokenizer.json of a folder.

        From the other files that a folder of sentence-transformers holds come the longest sentence,
        lower case, the pooling and the prompt.
        """
        directory = Path(directory)
        config = EncoderConfig.from_json(directory / "config.json")
        params = checkpoint.load_safetensors(
            directory / "model.safetensors", weight_shapes(config), ignore=_IGNORED,
            dtype=None if dtype is None else dtypes.canonical(dtype),
        )
        tokenizer, settings = None, read_settings(directory, config.max_position_embeddings)
        if (directory / "tokenizer.json").exists():
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.enable_truncation(settings.max_tokens)
        return cls(config, params, tokenizer, settings)

    def function(self, mesh: meshes.Mesh, **options: Any) -> jit.JittedFunction:
        """The compiled forward pass on a mesh: f(params, input_ids, attention_mask, token_type_ids).

        Weights and tokens are checked against the configuration, once for each kind of them.
        """
        check_config(self.config, mesh)
        key = (mesh, tuple(sorted(options.items())))
        if key not in self._functions:

            def forward(params, input_ids, attention_mask, token_type_ids):
                return sentence_embedding(params, input_ids, attention_mask, token_type_ids,
                                          self.config, self.settings.is_normalised)

            self._functions[key] = jit.jit(
                forward, mesh=mesh, out_shardings=P(),
                in_shardings={"params": expand_specs(ENCODER_SPECS, self.config, mesh)}, **options,
            )
            self._functions[key].precondition = functools.partial(check_inputs, config=self.config)
        return self._functions[key]

    def tokenize(self, sentences: Sequence[str], multiple: int = 8) -> tuple[np.ndarray, ...]:
        """Token ids, mask and type ids [batch, length], the length padded to a multiple."""
        if self.tokenizer is None:
            raise errors.CheckpointError("TS6001", "the model's folder has no tokenizer.json")
        if isinstance(sentences, (str, bytes)) or sentences is None:
            raise errors.TraceError("TS1043", f"sentences is a {type(sentences).__name__}, not a list of "
                                    "strings", got=repr(sentences)[:80], hint="write [sentence] for one")
        listed = list(sentences)
        if not listed:
            raise errors.ShapeError("TS3020", "the list of sentences is empty", got=repr(sentences),
                                    expected="a list of at least one sentence")
        for number, sentence in enumerate(listed):
            if not isinstance(sentence, str):
                raise errors.TraceError("TS1043", f"sentence {number} is a {type(sentence).__name__}, "
                                        "not a string", got=repr(sentence)[:80])
        settings = self.settings
        listed = [settings.prompt + str(sentence) for sentence in listed]
        encoded = self.tokenizer.encode_batch([s.lower() for s in listed] if settings.lower_case else listed)
        length = max(len(e.ids) for e in encoded)
        length = min(-(-length // multiple) * multiple, self.config.max_position_embeddings)
        ids, mask, kinds = (np.zeros((len(encoded), length), np.int32) for _ in range(3))
        for row, item in enumerate(encoded):
            ids[row, : len(item.ids)] = item.ids
            mask[row, : len(item.ids)] = item.attention_mask
            kinds[row, : len(item.ids)] = item.type_ids
        return ids, mask, kinds

    def encode(self, sentences: Sequence[str], mesh: meshes.Mesh | None = None,
               **options: Any) -> np.ndarray:
        """Embeddings, one row per sentence; of length 1, unless the model's folder says otherwise."""
        mesh = mesh or meshes.current_mesh() or meshes.SINGLE
        result: Array = self.function(mesh, **options)(self.params, *self.tokenize(sentences))
        return result.numpy()


def random_weights(config: EncoderConfig, seed: int = 0, scale: float = 0.05) -> dict[str, Array]:
    """Weights for tests and benchmarks: normal, with normalisations at 1 and 0."""
    generator = np.random.default_rng(seed)
    result = {}
    for name, shape in weight_shapes(config).items():
        value = generator.standard_normal(shape, np.float32) * scale
        value += 1 if name.endswith("LayerNorm.weight") else 0
        result[name] = Array(value)
    return result


__all__ = [
    "ENCODER_SPECS", "Encoder", "EncoderConfig", "random_weights", "sentence_embedding",
    "weight_shapes",
]
