# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler's JSON report for people: collectives, cost, and why each collective is there."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from tessera._src.core.source import shown_paths

_COLUMNS = ("kind", "axes", "shape", "dtype", "bytes", "estimatedNs", "where", "rule")


class Table(list):
    """Rows (dictionaries) that print as a table."""

    def __init__(self, rows: Sequence[dict], columns: Sequence[str]):
        super().__init__(rows)
        self.columns = list(columns)

    def __str__(self) -> str:
        if not self:
            return "(none)"
        cells = [self.columns] + [[_cell(row.get(c)) for c in self.columns] for row in self]
        widths = [max(len(line[i]) for line in cells) for i in range(len(self.columns))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip()
            for line in cells
        )


def _cell(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "x".join(str(v) for v in value)
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else shown_paths(str(value))


def _count(item: dict) -> int:
    """How often a collective runs in one run of the program; a while loop counts as one iteration."""
    return item.get("count", 1)


def _times(item: dict) -> str:
    """`12 times`; empty for what runs once."""
    if not item.get("isCountKnown", True):
        each = f"{_count(item)} times " if _count(item) > 1 else ""
        return f"{each}in every iteration of a while loop"
    return f"{_count(item)} times" if _count(item) != 1 else ""


def collectives(report: dict) -> Table:
    """A row per collective of one device's program, with the line it comes from.

    One that a loop repeats has one row, whose `count` is how often it runs in all iterations (of a
    while loop, in one iteration; `isCountKnown` is false then). Bytes and time are those of one run.
    """
    rows = []
    for item in report.get("collectives", []):
        row = dict(item)
        row["axes"] = ",".join(item.get("axes", []))
        row["where"] = f"{os.path.basename(item.get('file') or '?')}:{item.get('line', 0)}"
        row["times"] = _times(item)
        rows.append(row)
    repeats = any(row["times"] for row in rows)
    return Table(rows, ("times", *_COLUMNS) if repeats else _COLUMNS)


def cost(report: dict) -> dict[str, float | bool]:
    """Work of one device per run: operations, bytes moved in memory and between devices.

    All iterations of a loop count, but of a while loop only one; `iterations_known` says whether
    there is none of these.
    """
    moved = report.get("collectives", [])
    return {
        "flops": report.get("flops", 0),
        "bytes": report.get("bytes", 0),
        "collectives": sum(_count(c) for c in moved),
        "communicated_bytes": sum(c.get("bytes", 0) * _count(c) for c in moved),
        "communication_ns": sum(c.get("estimatedNs", 0) * _count(c) for c in moved),
        "iterations_known": report.get("areIterationsKnown", True),
    }


def memory(report: dict) -> dict[str, int]:
    """Bytes of one device: of arguments, of results, and of activations, which are all other values, where
    most of these live at once.

    The compiler predicts them before anything has a place in memory; `arena`, where the program is
    compiled, is what activations take with the gaps between them.
    """
    known = report["memory"]
    sizes = {name: known[name] for name in ("arguments", "results", "activations")}
    if "arenaBytes" in report:
        sizes["arena"] = report["arenaBytes"]
    return sizes


def explain_memory(report: dict) -> list[str]:
    """Lines that say what is kept for each checkpoint, and what is in memory when most is."""
    groups: Counter[tuple] = Counter()
    for item in report.get("checkpoints", []):
        groups[item.get("file"), item.get("line"), item.get("policy"), item.get("bytes", 0),
               item.get("flops", 0), tuple(item.get("kept", []))] += _count(item)
    lines = []
    for (file, line, policy, size, flops, kept), count in groups.items():
        lines.append(f"checkpoint at {file or '?'}:{line}, policy {policy}: "
                     + (f"{count} calls, each of which " if count != 1 else "")
                     + f"keeps {size} bytes for the backward pass, which computes the rest again with "
                     f"{flops:.3g} operations")
        lines += [f"   keeps {value}" for value in kept]
    known = report.get("memory")
    if known:
        lines.append(f"memory of a device, predicted: {known['activations']} bytes of activations where most "
                     f"live at once, besides {known['arguments']} of arguments and {known['results']} of "
                     "results")
        for item in known.get("alive", []):
            times = f"{_count(item)} times " if _count(item) != 1 else ""
            lines.append(f"   then alive: {times}{item['bytes']} bytes of {item.get('file') or '?'}:"
                         f"{item.get('line', 0)}")
    return [shown_paths(line) for line in lines]


def _split_values(items: Sequence[dict], kind: str) -> list[str]:
    """A line per layout that splits something; names that differ in numbers only share one."""
    groups: Counter[tuple[str, str]] = Counter()
    for item in items:
        if item.get("layout", "").replace("{}", "").strip("[], "):
            groups[re.sub(r"\d+", "*", item.get("name") or "(result)"), item["layout"]] += 1
    return [f"{kind} {name}: {layout}" + (f" ({count} of them)" if count > 1 else "")
            for (name, layout), count in groups.items()]


def explain(report: dict) -> list[str]:
    """Lines that say what is split, then why each collective is there, and its alternatives."""
    lines = _split_values(report.get("arguments", []), "argument")
    lines += _split_values(report.get("results", []), "result")
    items = report.get("collectives", [])
    for number, item in enumerate(items, 1):
        shape = "x".join(str(d) for d in item.get("shape", []))
        lines.append(
            f"{number}. {item['kind']} over {','.join(item.get('axes', []))} of {shape} "
            f"{item.get('dtype', '')}, {item.get('bytes', 0)} bytes, "
            f"~{item.get('estimatedNs', 0) / 1000:.1f} us, "
            + (f"{times}, " if (times := _times(item)) else "")
            + f"at {item.get('file') or '?'}:{item.get('line', 0)}"
        )
        lines += [f"   because {item['rule']}"] if item.get("rule") else []
        lines += [f"   from {origin}" for origin in item.get("origins", [])]
        lines += [f"   instead of {other}" for other in item.get("alternatives", [])]
    return [shown_paths(line) for line in lines] if items else [*lines, "no collectives"]
