# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Settings in a sentence-transformers folder, besides weights, configuration and tokenizer."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tessera._src.core.errors import CheckpointError, ConfigError


@dataclass(frozen=True, kw_only=True)
class SentenceSettings:
    """How sentences become tokens, and hidden states an embedding."""

    max_tokens: int  # Of a sentence, its special tokens included; what is longer is cut.
    lower_case: bool = False  # Before the tokenizer.
    is_normalised: bool = True  # Embeddings have length 1.
    prompt: str = ""  # What every sentence begins with.


def read_settings(directory: Path, most: int) -> SentenceSettings:
    """The settings of a folder; the usual ones (a normalised mean) where files are missing.

    Args:
        most: positions that the model has.

    Raises:
        ConfigError: a pipeline other than the mean of the hidden states, with or without normalisation.
    """
    limits = [most]
    for name, field in (("sentence_bert_config.json", "max_seq_length"),
                        ("tokenizer_config.json", "model_max_length")):
        limit = _read(directory / name).get(field)
        if limit is None:
            continue
        if isinstance(limit, bool) or not isinstance(limit, (int, float)) or limit < 1:
            raise ConfigError("TS4008", f"{directory / name} has {field} = {limit!r}",
                              expected="a number of tokens")
        limits.append(int(min(limit, most)))
        break  # sentence-transformers asks the tokenizer only where it is not told.
    return SentenceSettings(
        max_tokens=min(limits),
        lower_case=bool(_read(directory / "sentence_bert_config.json").get("do_lower_case")),
        is_normalised=_check_pipeline(directory), prompt=_default_prompt(directory))


def _read(path: Path) -> Any:
    """A file of JSON; empty if it is not there."""
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise CheckpointError("TS6001", f"{path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise CheckpointError("TS6002", f"{path} is not valid JSON: {error}") from None


def _check_pipeline(directory: Path) -> bool:
    """Whether the pipeline of modules.json scales embeddings to length 1; it must be one of ours."""
    modules = _read(directory / "modules.json")
    if not modules:
        return True
    kinds = [str(entry.get("type", "")).rpartition(".")[2] for entry in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise ConfigError("TS4008", f"{directory / 'modules.json'} has the modules {', '.join(kinds)}",
                          choices=["Transformer, Pooling", "Transformer, Pooling, Normalize"])
    folder = directory / str(modules[1].get("path", ""))
    pooling = _read(folder / "config.json")
    modes = [name for name, value in pooling.items() if name.startswith("pooling_mode_") and value is True]
    if pooling and modes != ["pooling_mode_mean_tokens"]:
        raise ConfigError("TS4008", f"{folder / 'config.json'} pools by {', '.join(modes) or 'nothing'}",
                          choices=["pooling_mode_mean_tokens"])
    return kinds[-1] == "Normalize"


def _default_prompt(directory: Path) -> str:
    """What config_sentence_transformers.json puts before every sentence."""
    path = directory / "config_sentence_transformers.json"
    settings = _read(path)
    name = settings.get("default_prompt_name")
    prompts = settings.get("prompts") or {}
    if name is not None and name not in prompts:
        raise ConfigError("TS4008", f"{path} has no prompt '{name}', which is its default",
                          choices=list(prompts))
    return str(prompts[name]) if name is not None else ""
