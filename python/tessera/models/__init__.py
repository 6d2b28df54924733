# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole models, and their weights from files."""

import sys as _sys

from tessera._src.core.missing import missing as _missing
from tessera._src.models.checkpoint import load_safetensors, package_directory
from tessera.models.encoder import ENCODER_SPECS, Encoder, EncoderConfig, sentence_embedding
from tessera.models.gpt2 import GPT2, GPT2Config
from tessera.models.llama import Llama, LlamaConfig

__all__ = [
    "ENCODER_SPECS",
    "Encoder",
    "EncoderConfig",
    "GPT2",
    "GPT2Config",
    "Llama",
    "LlamaConfig",
    "load_safetensors",
    "package_directory",
    "sentence_embedding",
]


def __getattr__(name: str):
    raise _missing(_sys.modules[__name__], name)
