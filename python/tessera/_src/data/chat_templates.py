# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Conversations as the text that a model was trained on: the Jinja templates that come with tokenizers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from tessera._src.core.errors import ConfigError, DataError


def render(template: str, messages: Sequence[Mapping[str, str]], where: str, **values: Any) -> str:
    """The text of messages, each with a `role` and a `content`.

    Templates come with downloaded files, so they run in Jinja's sandbox and change nothing.

    Args:
        where: the template comes from, for messages.
        values: what the template may use besides: bos_token, eos_token, add_generation_prompt.

    Raises:
        ConfigError (TS4006): the library jinja2 is not installed, or messages have another form.
        DataError (TS7002): the template is not valid, or refuses the messages.
    """
    if not isinstance(messages, Sequence) or isinstance(messages, str) or not all(
            isinstance(m, Mapping) and isinstance(m.get("role"), str) and isinstance(m.get("content"), str)
            for m in messages):
        raise ConfigError("TS4006", "messages are no conversation", got=repr(messages)[:80],
                          expected='a list of {"role": "user", "content": "..."}')
    try:
        import jinja2
    except ImportError:
        raise ConfigError("TS4006", "the library 'jinja2', which chat templates are written for, is not "
                          "installed", hint="pip install jinja2, or write the prompt out and call "
                          "tokenizer.encode") from None
    try:
        return _compiled(template).render(messages=[dict(m) for m in messages], **values)
    except jinja2.TemplateError as error:
        raise DataError("TS7002", f"the chat template of {where} fails: {error}",
                        hint="write the prompt out and call tokenizer.encode") from None
    except (TypeError, ValueError, LookupError, ArithmeticError, RecursionError) as error:
        raise DataError("TS7002", f"the chat template of {where} fails: {type(error).__name__}: {error}",
                        hint="write the prompt out and call tokenizer.encode") from None


@lru_cache(maxsize=16)
def _compiled(template: str) -> Any:
    """As transformers sets it up: a line with a statement alone leaves no line."""
    from jinja2.exceptions import TemplateError
    from jinja2.ext import loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, indent: int | None = None) -> str:
        return json.dumps(value, ensure_ascii=False, indent=indent)

    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True,
                                                extensions=[loopcontrols])
    environment.filters["tojson"] = tojson
    environment.globals["raise_exception"] = raise_exception
    return environment.from_string(template)
