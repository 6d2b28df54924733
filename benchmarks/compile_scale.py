# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How compiling grows with the program: time and peak memory per stage for 2 to 1,536 layers.

Layers are unrolled, and scanned: then the artefact of 96 takes at most 1.2 times as long as that of 2, and
is as large.

The program is a forward pass of gelu MLPs with residuals on a mesh dp=4 x tp=8; both weights of
every layer are annotated. Each figure is taken in a process of its own: tracing, then the compiler up
to a stage, whose own times per stage it reports. Peak memory is that of the process less what it
has after importing. JAX, where it is installed, lowers and compiles the same programs for 32 simulated
devices, each within --jax-seconds; what takes longer is recorded as that. Bars: 1,536 layers reach stage
`local` in 2 s and 1 GB, tracing included; a program of 4,000 arguments in 0.5 s.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

import harness

LAYERS = (2, 32, 96, 384, 1536)
ARGUMENTS = 4000
STAGES = ("layouts", "reshards", "local")
BATCH, HIDDEN, INNER = 64, 512, 2048

TESSERA = """
import json, resource, sys, time
import tessera as ts
from tessera._src.programs import native

kind, count, stage, batch, hidden, inner = sys.argv[1], int(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:])
mesh = ts.make_mesh({"dp": 4, "tp": 8})
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
array = lambda shape, *axes: ts.ShapeDtypeStruct(shape, ts.f32, ts.P(*axes))

def layers(x, weights):
    for up, down in weights:
        x = x + ts.gelu(x @ up) @ down
    return x

def scanned(x, weights):
    def layer(x, weights):
        return x + ts.gelu(x @ weights[0]) @ weights[1], None

    return ts.scan(layer, x, weights)[0]

def arguments(x, values):
    for value in values:
        x = x + value
    return x

x = array((batch, hidden), "dp")
if kind == "layers":
    function = layers
    values = [(array((hidden, inner), None, "tp"), array((inner, hidden), "tp")) for _ in range(count)]
elif kind == "scanned":
    function = scanned
    values = (array((count, hidden, inner), None, None, "tp"), array((count, inner, hidden), None, "tp"))
else:
    function = arguments
    values = [array((batch, hidden), "dp") for _ in range(count - 1)]
before = peak()
# What the first compilation of a process takes longer is not the program's; as below, of JAX. Its memory
# counts.
ts.jit(lambda a: a + 1, mesh=mesh).lower(x).as_text("local")
cpu, begin = time.process_time(), time.perf_counter()
program = ts.jit(function, mesh=mesh).lower(x, values).program
traced = time.perf_counter()
data, _, report = native.compile_text(program.text, target="cpu", emit=stage)
end = time.perf_counter()
print(json.dumps({"seconds": end - begin, "bytes": len(data), "trace_seconds": traced - begin,
                  "cpu_seconds": time.process_time() - cpu, "peak_mb": peak() - before,
                  "stages": {t["stage"]: t["ms"] / 1e3 for t in report["timings"]}}))
"""

JAX = """
import json, os, resource, sys, time
os.environ["XLA_FLAGS"] = "--xla_force_host_platform_device_count=32"
import jax, jax.numpy as jnp, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec as P

kind = sys.argv[1]
count, batch, hidden, inner = map(int, sys.argv[2:])
mesh = Mesh(np.array(jax.devices()).reshape(4, 8), ("dp", "tp"))
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
array = lambda shape, *axes: jax.ShapeDtypeStruct(shape, jnp.float32, sharding=NamedSharding(mesh, P(*axes)))

def function(x, weights):
    for up, down in weights:
        x = x + jax.nn.gelu(x @ up, approximate=False) @ down
    return x

def summed(x, values):
    for value in values:
        x = x + value
    return x

def scanned(x, weights):
    def layer(x, weights):
        return x + jax.nn.gelu(x @ weights[0], approximate=False) @ weights[1], None

    return jax.lax.scan(layer, x, weights)[0]

x = array((batch, hidden), "dp")
weights = [(array((hidden, inner), None, "tp"), array((inner, hidden), "tp")) for _ in range(count)]
if kind == "scanned":
    function = scanned
    weights = (array((count, hidden, inner), None, None, "tp"), array((count, inner, hidden), None, "tp"))
elif kind == "arguments":
    function = summed
    weights = [array((batch, hidden), "dp") for _ in range(count - 1)]
jax.jit(lambda a: a + 1).lower(x).compile()
before, begin = peak(), time.perf_counter()
lowered = jax.jit(function).lower(x, weights)
middle = time.perf_counter()
lowered.compile()
end = time.perf_counter()
print(json.dumps({"seconds": end - begin, "lower_seconds": middle - begin, "peak_mb": peak() - before}))
"""


def compile_tessera(kind: str, count: int, stage: str) -> dict:
    """Compiles a program of `count` layers or arguments up to `stage` in a process of its own."""
    return run(TESSERA, kind, count, stage, BATCH, HIDDEN, INNER)


def run(program: str, *arguments: object, limit: float | None = None) -> dict:
    """What a new process prints, which may take `limit` seconds."""
    command = [sys.executable, "-c", program, *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          timeout=limit, env={**os.environ, "JAX_PLATFORMS": "cpu"})
    return json.loads(done.stdout)


def measure(kind: str, count: int, rounds: int) -> dict:
    """Medians of a program's times, and the peak memory of reaching each stage."""
    runs = [compile_tessera(kind, count, "local") for _ in range(rounds)]
    peaks = {stage: compile_tessera(kind, count, stage)["peak_mb"] for stage in STAGES[:-1]}
    peaks["local"] = max(r["peak_mb"] for r in runs)

    def median(pick) -> float:
        return round(statistics.median(pick(r) for r in runs), 4)

    seconds = {"trace": median(lambda r: r["trace_seconds"])}
    for stage in runs[0]["stages"]:
        seconds[stage] = median(lambda r, stage=stage: r["stages"][stage])
    return {"to_local_seconds": median(lambda r: r["seconds"]), "stage_seconds": seconds,
            "peak_mb_after_import": {stage: round(mb, 1) for stage, mb in peaks.items()}}


def measure_whole(rounds: int) -> dict[int, dict]:
    """Tracing and compiling scanned layers to an artefact; the sizes take turns, so that drift hits all."""
    runs: dict[int, list[dict]] = {n: [] for n in LAYERS}
    for _ in range(2 * rounds + 1):
        for n, found in runs.items():
            found.append(compile_tessera("scanned", n, "artefact"))
    return {n: {"seconds": round(statistics.median(r["seconds"] for r in found), 4),
                "artefact_bytes": found[0]["bytes"],
                "peak_mb_after_import": round(max(r["peak_mb"] for r in found), 1)}
            for n, found in runs.items()}


def measure_jax(kind: str, count: int, limit: float) -> dict:
    """JAX's times; where it takes more than `limit` seconds, that alone."""
    try:
        figures = run(JAX, kind, count, BATCH, HIDDEN, INNER, limit=limit)
    except subprocess.TimeoutExpired:
        return {"seconds_more_than": limit}
    return {name: round(value, 3) for name, value in figures.items()}


def has_jax() -> bool:
    return subprocess.run([sys.executable, "-c", "import jax"], stderr=subprocess.DEVNULL).returncode == 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--jax-seconds", type=float, default=120, help="for each program of JAX")
    options = parser.parse_args()
    scanned = measure_whole(options.rounds)
    figures = {n: {"tessera": measure("layers", n, options.rounds), "tessera_scanned": scanned[n]}
               for n in LAYERS}
    arguments = measure("arguments", ARGUMENTS, options.rounds)
    if has_jax():
        for n in LAYERS:
            figures[n]["jax_scanned_lower_and_compile"] = measure_jax("scanned", n, options.jax_seconds)
            figures[n]["jax_lower_and_compile"] = measure_jax("layers", n, options.jax_seconds)
        arguments["jax_lower_and_compile"] = measure_jax("arguments", ARGUMENTS, options.jax_seconds)
    few, many = (figures[n]["tessera_scanned"] for n in (2, 96))
    largest = figures[max(LAYERS)]["tessera"]
    harness.write("compile_scale", {
        "program": f"MLPs with residuals, {BATCH} x {HIDDEN} x {INNER}, f32, dp=4 x tp=8",
        "rounds": options.rounds,
        "layers": {str(n): row for n, row in figures.items()},
        "arguments": {str(ARGUMENTS): arguments},
    }, bars=[
        harness.bar("seconds from 1,536 layers to stage local", largest["to_local_seconds"], at_most=2),
        harness.bar("MB of memory for that", largest["peak_mb_after_import"]["local"], at_most=1024),
        harness.bar("times as long to compile 96 scanned layers as 2",
                    round(many["seconds"] / few["seconds"], 3), at_most=1.2),
        harness.bar("bytes more in the artefact of 96 scanned layers than of 2",
                    many["artefact_bytes"] - few["artefact_bytes"], at_most=64),
        harness.bar("seconds from 4,000 arguments to stage local", arguments["to_local_seconds"],
                    at_most=0.5),
    ])


if __name__ == "__main__":
    main()
