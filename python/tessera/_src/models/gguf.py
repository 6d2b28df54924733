# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models in GGUF files, the format of llama.cpp; the library `gguf` knows the types of its weights."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.core import dtypes
from tessera._src.core.errors import CheckpointError, ConfigError
from tessera._src.core.gguf_header import GGUFHeader, read_header

# Our names of weights, by those of the format; {i} is a layer.
_NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head",
    "blk.{i}.attn_norm": "model.layers.{i}.input_layernorm",
    "blk.{i}.attn_q": "model.layers.{i}.self_attn.q_proj",
    "blk.{i}.attn_k": "model.layers.{i}.self_attn.k_proj",
    "blk.{i}.attn_v": "model.layers.{i}.self_attn.v_proj",
    "blk.{i}.attn_output": "model.layers.{i}.self_attn.o_proj",
    "blk.{i}.attn_q_norm": "model.layers.{i}.self_attn.q_norm",
    "blk.{i}.attn_k_norm": "model.layers.{i}.self_attn.k_norm",
    "blk.{i}.ffn_norm": "model.layers.{i}.post_attention_layernorm",
    "blk.{i}.ffn_gate": "model.layers.{i}.mlp.gate_proj",
    "blk.{i}.ffn_up": "model.layers.{i}.mlp.up_proj",
    "blk.{i}.ffn_down": "model.layers.{i}.mlp.down_proj",
}
# Fields of config.json by keys of the metadata, which the architecture's name precedes.
_FIELDS = {
    "block_count": "num_hidden_layers", "context_length": "max_position_embeddings",
    "embedding_length": "hidden_size", "feed_forward_length": "intermediate_size",
    "attention.head_count": "num_attention_heads", "attention.head_count_kv": "num_key_value_heads",
    "attention.layer_norm_rms_epsilon": "rms_norm_eps", "attention.key_length": "head_dim",
    "rope.freq_base": "rope_theta", "vocab_size": "vocab_size",
}
_ARCHITECTURES = ("llama", "qwen2", "qwen3")


@dataclass(frozen=True)
class QuantizedTensor:
    """A tensor of a file, whose elements are computed when NumPy asks for them.

    Attributes:
        data: as the file has them, u8 [rows, bytes].
        kind: the type of the library gguf.
    """

    data: np.ndarray
    kind: Any
    shape: tuple[int, ...]
    dtype: np.dtype
    heads: int | None  # Of a weight whose rows of a head are in llama.cpp's order.

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        from gguf.quants import dequantize

        elements = np.asarray(dequantize(self.data, self.kind), np.float32).reshape(self.shape)
        if self.heads is not None:
            # There, the two elements that a position turns stand side by side; here, half a head apart.
            pairs = elements.reshape(self.heads, -1, 2, *self.shape[1:])
            elements = pairs.swapaxes(1, 2).reshape(self.shape)
        return np.asarray(elements.astype(self.dtype, copy=False), dtype)


class GGUFFile(Mapping[str, QuantizedTensor]):
    """The weights of a GGUF file by Hugging Face's names, and the configuration that its metadata says.

    Args:
        dtype: the type of the elements; f32 if None: files hold several types.
    """

    def __init__(self, path: Path, dtype: np.dtype | None = None):
        try:
            from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
        except ImportError:
            raise CheckpointError("TS6001", f"{path} is read through the library gguf, which is not "
                                  "installed", hint="pip install gguf") from None
        header = _header_of(path)
        self.dtype: np.dtype = np.dtype(dtypes.f32) if dtype is None else dtype
        self.config = _config_of(path, header)
        kind = self.config["model_type"]
        self._tensors: dict[str, QuantizedTensor] = {}
        heads = {"q_proj": self.config.get("num_attention_heads"),
                 "k_proj": self.config.get("num_key_value_heads", self.config.get("num_attention_heads"))}
        for key, place in header.tensors.items():
            name = _name_of(key)
            if name is None:
                raise CheckpointError("TS6002", f"{path} has the tensor '{key}', which is no weight "
                                      f"of a {kind} model")
            try:
                of = GGMLQuantizationType(place.kind)
            except ValueError:
                raise CheckpointError("TS6002", f"tensor '{key}' of {path} is of type {place.kind}, which "
                                      "the library gguf does not know", hint="pip install -U gguf") from None
            elements, size = GGML_QUANT_SIZES[of]
            columns = place.shape[-1] if place.shape else 0
            row = columns // elements * size
            end = place.begin + math.prod(place.shape[:-1]) * row
            if columns == 0 or columns % elements or end > len(header.data):
                raise _damaged(path, f"tensor '{key}', {list(place.shape)} of {of.name}, does not fit it")
            layer = name.split(".")[-2]
            self._tensors[name] = QuantizedTensor(
                header.data[place.begin:end].reshape(-1, row), of, place.shape, self.dtype,
                heads.get(layer) if kind == "llama" else None)

    def __getitem__(self, name: str) -> QuantizedTensor:
        return self._tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)


def read_config(path: Path) -> dict[str, Any]:
    """The fields of config.json that the metadata of a GGUF file say; no weight is read.

    Raises:
        CheckpointError: the file is missing (TS6001) or damaged (TS6002).
        ConfigError (TS4008): it is of a model that is not known.
    """
    return _config_of(path, _header_of(path))


def _header_of(path: Path) -> GGUFHeader:
    if not path.exists():
        raise CheckpointError("TS6001", f"{path} does not exist")
    try:
        return read_header(path)
    except (ValueError, OSError) as error:
        raise _damaged(path, error) from None


def _config_of(path: Path, header: GGUFHeader) -> dict[str, Any]:
    kind = header.fields.get("general.architecture")
    if kind not in _ARCHITECTURES:
        raise ConfigError("TS4008", f"{path} is of a '{kind}' model", choices=_ARCHITECTURES)
    config: dict[str, Any] = {"model_type": kind}
    for key, name in _FIELDS.items():
        if f"{kind}.{key}" in header.fields:
            config[name] = header.fields[f"{kind}.{key}"]
    for name in ("bos_token_id", "eos_token_id"):
        if f"tokenizer.ggml.{name}" in header.fields:
            config[name] = header.fields[f"tokenizer.ggml.{name}"]
    config["tie_word_embeddings"] = "output.weight" not in header.tensors
    table = header.tensors.get("token_embd.weight")
    if table is not None and table.shape:
        config.setdefault("vocab_size", table.shape[0])
    return config


def _damaged(path: Path, why: object) -> CheckpointError:
    return CheckpointError("TS6002", f"{path} is no GGUF file, or damaged: {why}", hint="download it again")


def _name_of(name: str) -> str | None:
    """Hugging Face's name of a tensor; None where there is none."""
    found = re.fullmatch(r"(?:blk\.(\d+)\.)?(\w+)\.(weight|bias)", name)
    if found is None:
        return None
    layer, part, kind = found.groups()
    known = _NAMES.get(f"blk.{{i}}.{part}" if layer is not None else part)
    return None if known is None else f"{known.format(i=layer)}.{kind}"
