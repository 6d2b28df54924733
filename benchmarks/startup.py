# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a user waits for before a program runs: importing, compiling, the compile cache, one call.

Every figure but that of the call is taken in a new process, with its own empty cache folder.
"Compiling" is from a traced function's arguments to a loaded program: tracing, the compiler, the
linker, and for cached programs finding and loading them. Bars: import 0.5 s, compiling the 6-layer
encoder 5 s, cached 0.1 s.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time

import harness
import numpy as np

BARS = {"import_seconds": 0.5, "cold_compile_seconds": 5, "cached_compile_seconds": 0.1}

IMPORT = "import time; begin = time.perf_counter(); import tessera; print(time.perf_counter() - begin)"

COMPILE = """
import sys, time
import numpy as np
import tessera as ts
from tessera.models import encoder as model

tp = int(sys.argv[1])
config = model.EncoderConfig.from_dict({
    "vocab_size": 30522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12,
    "intermediate_size": 1536, "max_position_embeddings": 512, "type_vocab_size": 2,
    "layer_norm_eps": 1e-12})
weights = model.random_weights(config)
ids = np.zeros((32, 128), np.int32)
function = model.Encoder(config, weights).function(ts.make_mesh({"tp": tp}))
begin = time.perf_counter()
function.lower(weights, ids, np.ones_like(ids), ids).compile().executable
print(time.perf_counter() - begin)
"""


def run(program: str, *arguments: str, cache: str) -> float:
    """What a new process prints."""
    environment = {**os.environ, "TESSERA_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", program, *arguments], env=environment, check=True,
                          stdout=subprocess.PIPE, text=True)
    return float(done.stdout)


def call_microseconds() -> float:
    """One call of a compiled function that has next to nothing to compute."""
    import tessera as ts

    function = ts.jit(lambda x: x + 1)
    x = np.zeros(16, np.float32)
    function(x)
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        for _ in range(100):
            function(x)
        times.append((time.perf_counter() - begin) * 1e4)
    return round(statistics.median(times), 2)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()

    def median(values: list[float]) -> float:
        return round(statistics.median(values), 4)

    figures = {"import_seconds": {}, "cold_compile_seconds": {}, "cached_compile_seconds": {}}
    with tempfile.TemporaryDirectory() as cache:
        run(IMPORT, cache=cache)  # Files come from the disk the first time.
        figures["import_seconds"] = {
            "tessera": median([run(IMPORT, cache=cache) for _ in range(options.rounds)])}
    for tp in ("1", "2", "4"):
        cold, cached = [], []
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as cache:
                cold.append(run(COMPILE, tp, cache=cache))
                cached.append(run(COMPILE, tp, cache=cache))
        figures["cold_compile_seconds"][f"tp={tp}"] = median(cold)
        figures["cached_compile_seconds"][f"tp={tp}"] = median(cached)
    harness.write("startup", {
        "program": "encoder of 6 layers, 32 x 128 tokens, f32, target cpu",
        "rounds": options.rounds,
        **figures,
        "call_microseconds": call_microseconds(),
    }, bars=[harness.bar(name, max(figures[name].values()), at_most=limit)
             for name, limit in BARS.items()])


if __name__ == "__main__":
    main()
