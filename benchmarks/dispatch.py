# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What a call of a compiled step costs beside its computation, against JAX.

The state is a dictionary of 10, 100 or 1,000 small arrays that stay on the device; it is donated, and
each call gives the next one: `state = step(state, batch)`. Each array is multiplied by a number, which
takes no time to speak of. Bars: below JAX's time in the same run.
"""

import argparse
import functools
import json
import statistics
import subprocess
import sys
import time

import harness
import numpy as np

SIZES = (10, 100, 1000)
GOALS_US = {10: 10, 100: 60, 1000: 600}


def arrays(count: int) -> dict[str, np.ndarray]:
    return {f"layer{i:04}.weight": np.full(16, i, np.float32) for i in range(count)}


def update(state, batch):
    return {name: value * batch for name, value in state.items()}


def tessera_step(count: int):
    import tessera as ts

    step = ts.jit(update, donate_argnums=0)
    return step, ts.device_put(arrays(count), ts.P()), np.float32(1), ts.block_until_ready


def jax_step(count: int):
    import jax

    step = functools.partial(jax.jit, donate_argnums=0)(update)
    return step, jax.device_put(arrays(count)), np.float32(1), jax.block_until_ready


def measure(make, count: int, rounds: int, calls: int) -> list[float]:
    """Microseconds of one call, over as many rounds, each after a rest."""
    step, state, batch, wait = make(count)
    for _ in range(3):
        state = wait(step(state, batch))
    times = []
    for _ in range(rounds):
        time.sleep(0.02)
        state = wait(step(state, batch))  # Wakes the peer's threads.
        begin = time.perf_counter()
        for _ in range(calls):
            state = step(state, batch)
        wait(state)
        times.append((time.perf_counter() - begin) / calls * 1e6)
    return times


def flatten_us(count: int) -> float:
    """Microseconds of flattening such a state alone."""
    import tessera as ts

    state = ts.device_put(arrays(count))
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        ts.tree.flatten(state)
        times.append((time.perf_counter() - begin) * 1e6)
    return round(statistics.median(times), 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--one", nargs=2, metavar=("PEER", "COUNT"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:  # In a process of its own, so that no peer's threads compete.
        make = {"tessera": tessera_step, "jax": jax_step}[options.one[0]]
        count = int(options.one[1])
        print(json.dumps(measure(make, count, options.rounds, max(20, 2000 // count))))
        return
    figures: dict[str, dict[str, float]] = {}
    for count in SIZES:
        times: dict[str, list[float]] = {"tessera": [], "jax": []}
        for _ in range(3):  # The peers take turns, so that drift hits both alike.
            for name in times:
                done = subprocess.run(
                    [sys.executable, __file__, "--rounds", str(options.rounds), "--one", name, str(count)],
                    check=True, stdout=subprocess.PIPE, text=True)
                times[name] += json.loads(done.stdout)
        figures[str(count)] = {name: round(statistics.median(values), 1) for name, values in times.items()}
        figures[str(count)]["goal"] = GOALS_US[count]
    harness.write("dispatch", {
        "program": "state = step(state, batch), donated, one device",
        "unit": "microseconds of a call, median",
        "arrays": figures,
        "flatten_1000_us": flatten_us(1000),
    }, bars=[harness.bar(f"{count} arrays against JAX",
                         round(row["tessera"] / row["jax"], 3), at_most=1)
             for count, row in figures.items()])


if __name__ == "__main__":
    main()
