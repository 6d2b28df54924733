# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs are compiled and priced for far more devices than one process runs, at the same cost."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

import tessera as ts

PROGRAM = """
import json, resource, sys
import tessera as ts

side = int(sys.argv[1])
mesh = ts.make_mesh({"dp": side, "tp": side}, links={"dp": "ib", "tp": "nvlink"})
array = lambda shape, *axes: ts.ShapeDtypeStruct(shape, ts.f32, ts.P(*axes))

@ts.jit(mesh=mesh)
def step(x, up, down):
    y = x + ts.gelu(x @ up) @ down
    return ts.with_sharding_constraint(y, ts.P("tp"))  # A permute: dp and tp change places.

lowered = step.lower(array((4 * side, 64), "dp"), array((64, 32 * side), None, "tp"),
                     array((32 * side, 64), "tp"))
kinds = [c["kind"] for c in lowered.collectives()]
artefact = lowered.compile().as_artefact()
print(json.dumps({"bytes": len(artefact), "kinds": kinds,
                  "peak_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def compile_for(side: int, cache: str) -> dict:
    """What a new process compiles, with an empty cache, and its peak memory."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(side)], check=True, stdout=subprocess.PIPE,
                          text=True, env={**os.environ, "TESSERA_CACHE_DIR": cache})
    return json.loads(done.stdout)


def test_65536_devices_take_no_more_bytes_and_memory_than_4(tmp_path):
    few, many = ([compile_for(side, str(tmp_path / f"{side}-{i}")) for i in range(2)] for side in (2, 256))
    least = {side: min(run["peak_kb"] for run in runs) for side, runs in (("few", few), ("many", many))}
    few, many = few[0], many[0]
    assert "permute" in many["kinds"]
    assert many["kinds"] == few["kinds"]
    assert abs(many["bytes"] - few["bytes"]) <= 0.01 * few["bytes"]
    assert least["many"] <= 1.01 * least["few"]


def test_running_on_more_devices_than_one_process_has_is_refused():
    mesh = ts.make_mesh({"dp": 65536})
    function = ts.jit(lambda x: x + 1, mesh=mesh)
    x = np.zeros((65536, 2), np.float32)
    assert function.lower(x).cost()["flops"] >= 0
    with pytest.raises(ts.TesseraError, match="needs 65536 devices, but there are 256"):
        function(x)
