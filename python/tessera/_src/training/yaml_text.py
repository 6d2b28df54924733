# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Configurations as YAML: reading by PyYAML, writing in the part of YAML that is JSON."""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from tessera._src.core.errors import ConfigError
from tessera._src.training.options import documents

_WIDTH = 100
_NOT_PLAIN = re.compile("[\x7f-\xa0\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
# Numbers of YAML 1.2 and JSON, texts in YAML 1.1 where the point or the sign of the exponent is left out.
_SCIENTIFIC = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+")
_OCTAL = re.compile(r"[+-]?0[0-7_]+")


def read(content: str) -> Any:
    """The value of a text in YAML.

    Raises:
        ValueError: it is none, with line and column, or has a key twice.
        ConfigError (TS4031): it is not JSON either, and PyYAML is not installed.
    """
    try:
        import yaml
    except ImportError:
        try:
            return read_json(content)
        except ValueError as error:
            if isinstance(error, KeyTwice):
                raise
            if re.fullmatch(r"[\w./~+-]+", content.strip()):
                return content.strip()
        raise ConfigError("TS4031", "PyYAML, which reads YAML, is not installed",
                          hint='pip install "tessera[train]", or write the configuration as JSON') from None

    class Loader(yaml.SafeLoader):
        """Refuses keys that are there twice, of which YAML takes the last."""

    def mapping(loader: Any, node: Any) -> dict:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key is a list or a mapping",
                                                        key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key '{key.value}' is there twice",
                                                        key.start_mark)
            seen.add(key.value)
        return yaml.SafeLoader.construct_mapping(loader, node, deep=True)

    def number(loader: Any, node: Any) -> Any:
        if _OCTAL.fullmatch(node.value) or ":" in node.value:
            how = "in base 60" if ":" in node.value else "as an octal number"
            raise yaml.constructor.ConstructorError(
                None, None, f"YAML reads {node.value} {how}: write the number without "
                f"{'a colon' if ':' in node.value else 'the 0 before it'}, or a text in quotes",
                node.start_mark)
        kind = node.tag.rpartition(":")[2]
        return getattr(loader, f"construct_yaml_{kind}")(node)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_SCIENTIFIC.pattern + r"\Z"),
                                 list("-+.0123456789"))
    Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
    Loader.add_constructor("tag:yaml.org,2002:int", number)
    Loader.add_constructor("tag:yaml.org,2002:float", number)
    try:
        return yaml.load(content, Loader)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    except ValueError as error:  # Such as a date of 2020-13-01, or a character that YAML does not have.
        raise ValueError(str(error)) from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ValueError(f"{getattr(error, 'problem', None) or error}{where}") from None


class KeyTwice(ValueError):
    """A key that is there twice, of which JSON takes the last."""


def read_json(content: str) -> Any:
    """The value of a text in JSON.

    Raises: ValueError: it is none, or has a key twice.
    """
    def mapping(pairs: list[tuple[str, Any]]) -> dict:
        result = {}
        for key, value in pairs:
            if key in result:
                raise KeyTwice(f"the key '{key}' is there twice")
            result[key] = value
        return result

    return json.loads(content, object_pairs_hook=mapping)


def write(data: Mapping[str, Mapping[str, Any]], sections: Mapping[str, type] | None = None) -> str:
    """Sections of options as YAML.

    Args:
        sections: their classes, whose documentation becomes comments.
    """
    lines = []
    for name, options in data.items():
        if sections is not None:
            lines += ["", f"# {(sections[name].__doc__ or '').splitlines()[0]}"]
        lines.append(f"{name}:")
        notes = documents(sections[name]) if sections is not None else {}
        for key, value in options.items():
            if key in notes:
                lines += textwrap.wrap(notes[key], _WIDTH, initial_indent="  # ", subsequent_indent="  # ")
            lines.append(f"  {key}: {scalar(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def scalar(value: Any) -> str:
    """A plain value as flow YAML, which is JSON but for floats."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(key)}: {scalar(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(scalar(item) for item in value) + "]"
    if isinstance(value, float) and not math.isfinite(value):
        return ".nan" if math.isnan(value) else ".inf" if value > 0 else "-.inf"
    if isinstance(value, float):
        # Without a point, YAML 1.1 reads 1e-05 as a text.
        mantissa, e, exponent = repr(value).partition("e")
        return mantissa + (".0" if "." not in mantissa else "") + e + exponent
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """A text in quotes. What YAML does not take as it is, or takes for the end of a line, is escaped; what
    lies above U+FFFF is not, as JSON writes that in two halves, which YAML does not join."""
    return _NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(text, ensure_ascii=False))
