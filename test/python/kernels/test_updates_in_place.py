# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Updates write what they change: a value that is dead afterwards gives its memory to the result."""

import re

import numpy as np
import pytest

import tessera as ts
from conftest import needs_runtime

STEPS = {
    "a box": lambda cache, row, at: ts.dynamic_update_slice(cache, row[None], (at, 0)),
    "a row at a traced index": lambda cache, row, at: cache.at[at].set(row),
    "rows added": lambda cache, row, at: cache.at[ts.stack([at, at + 1])].add(row),
}


def _steps(text: str) -> list[str]:
    return re.findall(r"plan\.(copy|fill|launch @\S+ grid \[[\d, ]*\])", text)


def _decode(step, positions: int, returned: bool = False):
    def function(x, row, at):
        cache = x * 2
        first = step(cache, row, at)
        second = step(first, row + 1, at + 2)
        return (second, cache) if returned else second

    arguments = np.ones((positions, 64), np.float32), np.arange(64, dtype=np.float32), np.int32(3)
    return ts.jit(function), arguments


@needs_runtime
@pytest.mark.parametrize("name", STEPS)
def test_updates_write_as_much_for_few_and_many_positions(name):
    written = []
    for positions in (128, 4096):
        function, arguments = _decode(STEPS[name], positions)
        steps = _steps(function.lower(*arguments).as_text("plan"))
        assert "copy" not in steps, steps
        # The first kernel computes the whole cache.
        written.append([s for s in steps if "multiply" not in s and "mul" not in s])
    assert written[0] == written[1] != []


@needs_runtime
@pytest.mark.parametrize("name", STEPS)
def test_what_is_used_afterwards_is_copied(name):
    function, arguments = _decode(STEPS[name], 16, returned=True)
    assert "copy" in _steps(function.lower(*arguments).as_text("plan"))
    second, cache = map(np.asarray, function(*arguments))
    x, row, at = arguments
    expected = x * 2
    np.testing.assert_array_equal(cache, expected)
    for turn in range(2):
        new = row + turn
        if name == "rows added":
            expected[at + 2 * turn] += new
            expected[at + 2 * turn + 1] += new
        else:
            expected[at + 2 * turn] = new
    np.testing.assert_array_equal(second, expected)
