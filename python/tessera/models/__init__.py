# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Whole models, and their weights from files."""

from tessera._src.models.checkpoint import load_safetensors, package_directory
from tessera.models.encoder import ENCODER_SPECS, Encoder, EncoderConfig, sentence_embedding

__all__ = [
    "ENCODER_SPECS",
    "Encoder",
    "EncoderConfig",
    "load_safetensors",
    "package_directory",
    "sentence_embedding",
]
