# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random programs with loops, conditionals and layouts, as a batch and entry by entry, by the interpreter.

The programs are those of test/fuzz/fuzz-run.py, in f64, so that what differs is an error and not rounding.
"""

import importlib.util
import os
import random
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from conftest import needs_compiler
from tessera._src.core import dtypes
from tessera._src.core.errors import CompileError
from tessera._src.programs import native

_PATH = Path(__file__).parents[2] / "fuzz" / "fuzz-run.py"
_SPEC = importlib.util.spec_from_file_location("fuzz_run", _PATH)
assert _SPEC is not None and _SPEC.loader is not None
fuzz = importlib.util.module_from_spec(_SPEC)
sys.modules["fuzz_run"] = fuzz  # Dataclasses look there.
_SPEC.loader.exec_module(fuzz)

SIZE = 3
SEEDS = int(os.environ.get("TESSERA_FUZZ_SEEDS", 40))
# A program that is refused for this is no failure: each entry would print what the others do.
REFUSED = "a print or check is where"


def _check(got: np.ndarray, wanted: np.ndarray, what: str) -> None:
    if wanted.dtype.kind != "f":
        assert np.array_equal(got, wanted), what
        return
    size = np.max(np.abs(wanted), where=np.isfinite(wanted), initial=1)
    assert np.allclose(got, wanted, rtol=1e-9, atol=1e-9 * size, equal_nan=True), what


def _run(seed: int, capfd) -> list[str]:
    """Compares the programs of a seed; what happened to each."""
    head, programs = fuzz.programs_of(seed)
    rng = random.Random(seed)
    outcomes = []
    for program in map(fuzz.in_doubles, programs):
        entries = [fuzz.inputs_of(program, 10 * seed + k) for k in range(SIZE)]
        chosen = [i for i in range(len(program.arguments)) if rng.random() < 0.6]
        text = head + program.text()
        try:
            texts, report = native.vectorize(text, program.name, "batched", SIZE, chosen, ())
        except CompileError as error:
            assert REFUSED in str(error), f"{error}\n{text}"
            outcomes.append("refused")
            continue
        public = [re.sub(r"func.func private @batched\b(?!\.)", "func.func @batched", made) for made in texts]
        for entry in entries[1:]:
            for i, array in enumerate(entries[0]):
                if i not in chosen:
                    entry[i] = array
        given = [np.stack([entry[i] for entry in entries]) if i in chosen else entries[0][i]
                 for i in range(len(program.arguments))]
        depends = report["batched"]
        got = [np.zeros(((SIZE,) if has else ()) + r.shape, dtypes.BY_NAME[r.element])
               for r, has in zip(program.results, depends)]
        native.interpret("\n".join([text, *public]), given, got, entry="batched")
        for k, entry in enumerate(entries):
            wanted = fuzz.interpreted(head, program, entry)
            for mine, want, has, result in zip(got, wanted, depends, program.results):
                _check(mine[k] if has else mine, want,
                       f"entry {k} of {result.name}, {chosen} batched\n{text}")
        outcomes.append("equal")
    capfd.readouterr()  # What the programs print.
    return outcomes


@needs_compiler
def test_random_programs(capfd):
    outcomes = [outcome for seed in range(SEEDS) for outcome in _run(seed, capfd)]
    assert outcomes.count("equal") >= 0.9 * len(outcomes), outcomes
