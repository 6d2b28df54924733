# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes the README's table of measurements from results/*.json, or checks that it is theirs and that
they miss no bar.

Usage: table.py [--check].
"""

import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BENCHMARKS = ("encoder_cpu", "gemm_cpu", "kernels_cpu", "startup", "compile_scale", "dispatch", "build_time")
# Bars that are missed and known to be: the README says so, and the check prints why instead of failing.
KNOWN_MISSES: dict[str, str] = {
    "kernels_cpu": "a sum along rows and p += g are as fast as memory, for PyTorch too: 1.04 and 1.05 on a "
                   "machine with other work",
}
BEGIN, END = "<!-- benchmarks/table.py writes this table -->\n", "<!-- end of the table -->\n"


def load(name: str) -> dict:
    return json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text())


def listed(values: dict[str, float], form: str) -> str:
    return ", ".join(format(value, form) for value in values.values())


def limits(name: str) -> list[str]:
    """What each bar of a result allows."""
    return [f"{bar.get('at_most', bar.get('at_least')):g}" for bar in load(name)["bars"]]


def rows() -> list[tuple[str, str, str, str]]:
    """What, Tessera's figure, its peers', the bar."""
    encoder, gemm, kernels, startup, scale, dispatch, build = map(load, BENCHMARKS)
    peers = {"torch_eager": "PyTorch", "torch_compile": "torch.compile", "jax_jit": "JAX"}
    times = encoder["times"]
    measured_peers = ", ".join(f"{label} {times[name]['median_ms']:.0f} ms"
                               for name, label in peers.items() if name in times)
    speeds = {n: row["speed_relative_to_openblas"] for n, row in gemm["sizes"].items()}
    gflops = {n: row["gflops"]["tessera"] for n, row in gemm["sizes"].items()}
    cached = max(startup["cached_compile_seconds"].values())
    import_bar, cold_bar, cached_bar = limits("startup")
    return [
        ("MiniLM encoder, 32 x 128 tokens, f32", f"{times['tessera']['median_ms']:.0f} ms",
         measured_peers, f"{limits('encoder_cpu')[0]} x PyTorch"),
        (f"f32 products of size {', '.join(speeds)}", f"{listed(gflops, '.0f')} GFLOP/s",
         f"{listed(speeds, '.2f')} of OpenBLAS's speed", limits("gemm_cpu")[0]),
        kernel_row(kernels),
        (f"compiling that encoder for {', '.join(startup['cold_compile_seconds'])}",
         f"{listed(startup['cold_compile_seconds'], '.2f')} s", "", f"{cold_bar} s"),
        ("the same from the cache", f"{cached * 1e3:.0f} ms", "", f"{float(cached_bar) * 1e3:g} ms"),
        ("`import tessera`", f"{listed(startup['import_seconds'], '.2f')} s", "", f"{import_bar} s"),
        *scale_rows(scale),
        ("a call with nothing to compute", f"{startup['call_microseconds']:.0f} us", "", ""),
        (f"a call with {', '.join(map(in_thousands, dispatch['arrays']))} donated arrays",
         *(", ".join(f"{row[peer]:.0f}" for row in dispatch["arrays"].values()) + " us"
           for peer in ("tessera", "jax")), "JAX's time"),
        (f"clean build{elsewhere(build, encoder)}", f"{build['clean_seconds']:.0f} s", "",
         f"{limits('build_time')[0]} s" + ("" if build["bars"][0]["passes"] else ", **missed**")),
    ]


def kernel_row(result: dict) -> tuple[str, str, str, str]:
    """Ratios of times, least to greatest."""
    ratios = {name: row["ratio_to_torch"] for name, row in result["kernels"].items()}
    worst = max(ratios, key=ratios.get)
    missed = "" if all(bar["passes"] for bar in result["bars"]) else ", **missed**"
    half = statistics.median(ratios.values())
    return (f"{len(ratios)} kernels beside products, f32",
            f"half of them within {half:.2f}, all within {ratios[worst]:.2f} x PyTorch's time",
            f"closest: {worst}", f"{limits('kernels_cpu')[0]} x PyTorch{missed}")


def cpu_of(result: dict) -> str:
    return result["machine"]["cpu"].replace("(R)", "")


def elsewhere(result: dict, first: dict) -> str:
    """Where a result was measured, if not where the table says."""
    return "" if cpu_of(result) == cpu_of(first) else f" on {cpu_of(result)}"


def in_thousands(number: str) -> str:
    return f"{int(number):,}"


def jax_seconds(figures: dict | None) -> str:
    """What JAX took for a program, if it was there."""
    if figures is None:
        return "-"
    limit = figures.get("seconds_more_than")
    return f"over {limit:g}" if limit else format(figures["seconds"], ".2f")


def scale_rows(scale: dict) -> list[tuple[str, str, str, str]]:
    """How compiling grows; JAX's compiles to the end, which is more than to stage `local`."""
    layers, arguments = scale["layers"], scale["arguments"]
    count, many = max(layers, key=int), next(iter(arguments))
    seconds_bar, memory_bar, ratio_bar, _, arguments_bar = limits("compile_scale")
    largest, few = layers[count]["tessera"], min(layers, key=int)
    programs = [layers[count], arguments[many]]
    looped = (few, "96")  # The bar is their ratio.
    scanned = [layers[n]["tessera_scanned"]["seconds"] for n in looped]
    return [
        (f"{in_thousands(count)} layers, {in_thousands(many)} arguments to stage `local`",
         f"{largest['to_local_seconds']:.2f}, {arguments[many]['to_local_seconds']:.2f} s",
         f"JAX's whole {', '.join(jax_seconds(p.get('jax_lower_and_compile')) for p in programs)} s",
         f"{seconds_bar}, {arguments_bar} s"),
        (f"memory for these {in_thousands(count)} layers",
         f"{largest['peak_mb_after_import']['local']:.0f} MB", "", f"{memory_bar} MB"),
        (f"compiling {', '.join(looped)} layers in a loop to an artefact",
         f"{scanned[0]:.2f}, {scanned[1]:.2f} s",
         "JAX " + ", ".join(jax_seconds(layers[n].get("jax_scanned_lower_and_compile"))
                            for n in looped) + " s", f"{ratio_bar} x that of {few}"),
    ]


def table() -> str:
    first = load("encoder_cpu")
    lines = [f"On {first['machine']['cores']} cores of an {cpu_of(first)}:", "",
             "| | Tessera | peers | bar |", "|---|---|---|---|"]
    lines += [f"| {' | '.join(row)} |".replace("|  |", "| |") for row in rows()]
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def missed_bars() -> list[str]:
    """The bars that committed results miss."""
    return [f"{name}: {bar}" for name in BENCHMARKS if name not in KNOWN_MISSES
            for bar in load(name)["bars"] if not bar["passes"]]


def main() -> int:
    path = ROOT / "README.md"
    before, begin, rest = path.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        sys.exit(f"{path} has no lines {BEGIN!r} and {END!r}")
    new = table()
    for name, why in KNOWN_MISSES.items():
        print(f"known to be missed, {name}: {why}")
    if "--check" in sys.argv[1:] and missed_bars():
        print("a bar is missed:", *missed_bars(), sep="\n")
        return 1
    if old == new:
        print("measurements: README.md has them")
        return 0
    if "--check" in sys.argv[1:]:
        print(f"README.md has other measurements than benchmarks/results; now:\n{new}"
              "run benchmarks/table.py")
        return 1
    path.write_text(before + BEGIN + new + END + after)
    print(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
