# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A fuzzer that reports nothing looks like one that finds nothing: here it is given a broken compiler."""

import subprocess
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[2] / "fuzz"
sys.path.insert(0, str(FUZZ))
from random_program import UNSIGNED, Op, Program, Trust, Value, shrink  # noqa: E402

# Gets every softmax wrong, also one in a loop that nothing uses.
BROKEN = f"""#!{sys.executable}
import sys
text = sys.stdin.read()
if "tessera.softmax" in text and "check-equivalence" in " ".join(sys.argv):
    sys.exit("x:1:1: error: result 0 element 3 is 1.0, expected 2.0")
"""


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    """What fuzz-partition says of a compiler that gets every softmax wrong, and where it writes."""
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "broken-opt").write_text(BROKEN)
    (folder / "broken-opt").chmod(0o755)
    process = subprocess.run(
        [sys.executable, FUZZ / "fuzz-partition.py", "--tessera-opt", folder / "broken-opt", "--seeds", "8",
         "--max-failures", "1", "--out", folder / "failures"], capture_output=True, text=True)
    return process, sorted((folder / "failures").glob("*.mlir"))


def test_a_defect_fails_the_run_and_is_said(fuzzed):
    process, files = fuzzed
    assert process.returncode == 1, process.stderr
    assert "expected 2.0" in process.stdout and files[0].name in process.stdout


def test_a_defect_becomes_a_file_with_its_command_and_the_least_program(fuzzed):
    _, files = fuzzed
    small = [file for file in files if not file.name.endswith(".whole.mlir")]
    assert small and len(files) == 2 * len(small)
    for file in small:
        text, whole = file.read_text(), file.with_suffix(".whole.mlir").read_text()
        assert text.startswith(f"// tessera-opt {file.name} '--tessera-check-equivalence=pipeline=")
        assert "// x:1:1: error: result 0 element 3 is 1.0, expected 2.0" in text
        assert [line.split()[2] for line in text.splitlines() if " = tessera." in line] == ["tessera.softmax"]
        assert "tessera.softmax" in whole and len(whole) > len(text)


def test_equal_seeds_give_equal_programs(fuzzed, tmp_path):
    process, files = fuzzed
    again = subprocess.run([*process.args[:-1], tmp_path], capture_output=True, text=True)
    assert again.returncode == 1
    assert [f.read_text() for f in sorted(tmp_path.glob("*.mlir"))] == [f.read_text() for f in files]


def test_a_smaller_program_takes_no_unsigned_numbers():
    """Random bits are made inside of programs: nobody has such arguments for them."""
    x, bits, y, z = (Value(f"%{name}", (3,), element, Trust.EXACT)
                     for name, element in (("x", "i32"), ("bits", UNSIGNED), ("y", "f32"), ("z", "f32")))
    program = Program("main", [x], [Op((bits,), "convert <0> : <t0>", (x,)),
                                    Op((y,), "convert <0> : <t0>", (bits,)),
                                    Op((z,), "neg <0> : <t0>", (y,))], [z])
    tried = []
    small = shrink(program, lambda p: tried.append(p) or "neg" in p.text())
    assert [op.mnemonic for op in small.ops] == ["neg"] and len(tried) > 2
    assert not [a for p in tried for a in p.arguments if a.element == UNSIGNED]
