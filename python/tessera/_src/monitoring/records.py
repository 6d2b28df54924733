# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Records of a training as lines of JSON, and numbers and times for people.

JSON has no infinities and no NaN. A record that holds some has null in their places, and says which they
are by their path in the member "nonfinite":

    {"event": "step", "step": 7, "loss": null, "nonfinite": {"loss": "nan"}}
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

NONFINITE = "nonfinite"


def to_line(record: Mapping[str, Any]) -> str:
    """A record as one line, without its end."""
    found: dict[str, str] = {}
    plain = {str(key): _plain(value, str(key), found) for key, value in record.items()}
    if found:
        plain[NONFINITE] = found
    return json.dumps(plain, allow_nan=False, ensure_ascii=False)


def _plain(value: Any, path: str, found: dict[str, str]) -> Any:
    """A value as JSON has it; numbers that are not finite become None, and are noted."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{path}.{key}", found) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{path}.{i}", found) for i, item in enumerate(value)]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # A number of NumPy.
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        found[path] = str(value)
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    return str(value)  # A path.


def from_line(line: str | bytes) -> dict[str, Any]:
    """The record of a line.

    Raises: ValueError: the line is not JSON, or not an object.
    """
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError("not an object")
    for path, text in record.pop(NONFINITE, {}).items():
        *parents, last = path.split(".")
        place: Any = record
        for name in parents:
            place = place[int(name)] if isinstance(place, list) else place[name]
        place[int(last) if isinstance(place, list) else last] = float(text)
    return record


def count_text(value: float) -> str:
    """A count in three or four digits: 950, 12.3k, 1.23M."""
    if not math.isfinite(value):
        return str(value)
    for unit in ("", "k", "M", "G", "T"):
        if abs(value) < 999.5:
            break
        value /= 1000
    else:
        unit = "P"
    digits = 0 if not unit and value == int(value) else max(0, 2 - int(math.log10(max(abs(value), 1))))
    return f"{value:.{digits}f}{unit}"


def printable_text(text: str) -> str:
    """A text that does nothing to a terminal: characters that do not print are escaped, but for ends of lines
    and tabs."""
    return "".join(c if c.isprintable() or c in "\n\t" else c.encode("unicode_escape").decode() for c in text)


def duration_text(seconds: float) -> str:
    """A time as 0:00:07 or 3 d 04:05:06."""
    whole = int(max(seconds, 0) + 0.5)
    days, rest = divmod(whole, 86400)
    hours, minutes, left = rest // 3600, rest // 60 % 60, rest % 60
    return f"{days} d {hours:02}:{minutes:02}:{left:02}" if days else f"{hours}:{minutes:02}:{left:02}"


def percent_text(part: float | None) -> str:
    """A part of one as a percentage; a dash where it is not known."""
    return "-" if part is None else f"{100 * part:.1f} %"
