# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models by the name that config.json has for them."""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

from tessera._src.core.errors import ConfigError, did_you_mean

# The names of model_type, with the module and the classes of the model and its configuration.
_CLASSES = {
    "gpt2": ("tessera.models.gpt2", "GPT2", "GPT2Config"),
    **{name: ("tessera.models.llama", "Llama", "LlamaConfig")
       for name in ("llama", "mistral", "qwen2", "qwen3")},
}
ARCHITECTURES = tuple(_CLASSES)


class Architecture(NamedTuple):
    """The class of a model, and that of its configuration."""

    model: type
    config: type


def architecture(name: Any) -> Architecture:
    """The classes of a model_type; their module is imported when it is asked for.

    Raises: ConfigError (TS4008): there is no such model.
    """
    if not isinstance(name, str) or name not in _CLASSES:
        raise ConfigError("TS4008", f"unknown model '{name}'", choices=ARCHITECTURES,
                          hint=did_you_mean(str(name), ARCHITECTURES))
    module, model, config = _CLASSES[name]
    found = importlib.import_module(module)
    return Architecture(getattr(found, model), getattr(found, config))
