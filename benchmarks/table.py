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
BENCHMARKS = ("encoder_cpu", "train_cpu", "gemm_cpu", "attention_cpu", "kernels_cpu", "startup",
              "compile_scale", "dispatch", "build_time")
# Their rows come with their first results, which are those of a quiet machine.
NEW_BENCHMARKS = ("trainer_cpu", "end_to_end_cpu", "checkpoint_cpu")
# Bars that are missed and known to be: the README says so, and the check prints why instead of failing.
KNOWN_MISSES: dict[str, str] = {}
BEGIN, END = "<!-- benchmarks/table.py writes this table -->\n", "<!-- end of the table -->\n"


def is_measured(name: str) -> bool:
    return (ROOT / "benchmarks/results" / f"{name}.json").exists()


def load(name: str) -> dict:
    return json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text())


def listed(values: dict[str, float], form: str) -> str:
    return ", ".join(format(value, form) for value in values.values())


def limits(name: str) -> list[str]:
    """What each bar of a result allows."""
    return [f"{bar.get('at_most', bar.get('at_least')):g}" for bar in load(name)["bars"]]


def rows() -> list[tuple[str, str, str, str]]:
    """What, Tessera's figure, its peers', the bar."""
    encoder, train, gemm, attention, kernels, startup, scale, dispatch, build = map(load, BENCHMARKS)
    times = encoder["times"]
    gflops = {n: row["gflops"]["tessera"] for n, row in gemm["sizes"].items()}
    products = {f"{form}, {size}": row["time_over_openblas"]
                for form, rows in gemm["forms"].items() for size, row in rows.items()}
    of_kernels = {name: row["ratio_to_torch"] for name, row in kernels["kernels"].items()}
    passes = {name: row["ratio_to_torch"] for name, row in attention["passes"].items()}
    cached = max(startup["cached_compile_seconds"].values())
    import_bar, cold_bar, cached_bar = limits("startup")
    return [
        ("MiniLM encoder, 32 x 128 tokens, f32", f"{times['tessera']['median_ms']:.0f} ms",
         of_peers(times, "median_ms", "ms"), f"{limits('encoder_cpu')[0]} x PyTorch"),
        *train_rows(train),
        *(row for name, rows_of in ROWS_OF.items() if is_measured(name) for row in rows_of(load(name))),
        (f"f32 products of size {', '.join(gflops)}" + elsewhere(gemm, encoder),
         f"{listed(gflops, '.0f')} GFLOP/s", "", ""),
        ratio_row("gemm_cpu", f"{len(products)} products, factors transposed or not", products, "OpenBLAS",
                  gemm),
        ("causal attention, 2,048 tokens: forward, with its gradients" + elsewhere(attention, encoder),
         f"{listed(passes, '.2f')} x PyTorch's time", "",
         f"{limits('attention_cpu')[0]} x PyTorch" + missed(attention, 0)),
        ratio_row("kernels_cpu", f"{len(of_kernels)} kernels beside products, f32"
                  + elsewhere(kernels, encoder), of_kernels, "PyTorch", kernels),
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
         f"{limits('build_time')[0]} s" + missed(build, 0)),
    ]


def ratio_row(name: str, what: str, ratios: dict[str, float], peer: str, result: dict) -> tuple:
    """Ratios of times, least to greatest."""
    worst = max(ratios, key=ratios.__getitem__)
    is_missed = any(not bar["passes"] for bar in result["bars"])
    return (what, f"half of them within {statistics.median(ratios.values()):.2f}, "
            f"all within {ratios[worst]:.2f} x {peer}'s time", f"closest: {worst}",
            f"{limits(name)[0]} x {peer}" + (", **missed**" if is_missed else ""))


def of_peers(rows: dict[str, dict], name: str, unit: str) -> str:
    """A figure of each peer that was measured."""
    peers = {"torch_eager": "PyTorch", "torch_compile": "torch.compile", "jax_jit": "JAX"}
    return ", ".join(f"{label} {rows[peer][name]:.0f} {unit}" for peer, label in peers.items()
                     if peer in rows)


def train_rows(train: dict) -> list[tuple[str, str, str, str]]:
    """A training step: time, memory, compiling."""
    shape, memory, compiling = train["shape"], train["peak_memory"], train["cold_compile"]
    time_bar, memory_bar, cold_bar, scanned_bar, share_bar = limits("train_cpu")
    seconds = {step: (row["seconds"], row["jax_seconds"]) for step, row in compiling.items()}
    first, *scanned = seconds.values()
    what = (f"training step of a GPT of {shape['layers']} layers, "
            f"{shape['batch']} x {shape['length']} tokens, f32")
    return [
        (what + elsewhere(train, load("encoder_cpu")), f"{train['times']['tessera']['median_ms']:.0f} ms",
         of_peers(train["times"], "median_ms", "ms"), f"{time_bar} x the fastest" + missed(train, 0)),
        ("memory of such steps", f"{memory['tessera']['steps_mb']:.0f} MB",
         of_peers(memory, "steps_mb", "MB"), f"{memory_bar} x PyTorch" + missed(train, 1)),
        ("compiling it", f"{first[0]:.2f} s", f"JAX {first[1]:.2f} s", f"{cold_bar} s" + missed(train, 2)),
        ("compiling it with 6, 48 layers in a loop", ", ".join(f"{own:.2f}" for own, _ in scanned) + " s",
         "JAX " + ", ".join(f"{jax:.2f}" for _, jax in scanned) + " s",
         f"{scanned_bar} x that of 6" + missed(train, 3)),
        ("differentiating, of compiling it", f"{compiling['unrolled_6']['differentiating_of_it']:.0%}", "",
         f"{float(share_bar):.0%}" + missed(train, 4)),
    ]


def end_to_end_rows(run: dict) -> list[tuple[str, str, str, str]]:
    """A whole training against PyTorch's."""
    rate_bar, memory_bar = limits("end_to_end_cpu")
    peers = {"torch_eager": "PyTorch", "torch_compile": "torch.compile"}

    def of(figures: dict[str, float], unit: str) -> str:
        return ", ".join(f"{label} {figures[name]:,.0f}{unit}" for name, label in peers.items()
                         if name in figures)

    rates, memory = run["tokens_per_second"], run["steps_mb"]
    return [
        ("training a GPT-2 of that shape from raw text, with log and evaluations, tokens/s"
         + elsewhere(run, load("encoder_cpu")), f"{rates['tessera']:,.0f}", of(rates, ""),
         f"{rate_bar} x the fastest" + missed(run, 0)),
        ("memory of that", f"{memory['tessera']:.0f} MB", of(memory, " MB"),
         f"{memory_bar} x the fastest's" + missed(run, 1)),
    ]


def trainer_rows(trainer: dict) -> list[tuple[str, str, str, str]]:
    """What a training adds to its compiled step."""
    rate_bar, wait_bar, cold_bar, cached_bar, memory_bar = limits("trainer_cpu")
    start, memory = trainer["start_seconds"], trainer["memory"]
    return [
        ("`tessera train` of a GPT-2 of that shape, tokens/s" + elsewhere(trainer, load("encoder_cpu")),
         f"{trainer['steps']['tokens_per_second_over_step']:.3f} x the step alone", "",
         f"{rate_bar} x" + missed(trainer, 0)),
        ("waiting for batches at 10 times its speed", f"{trainer['loading']['waited_part']:.2%} of the time",
         "", f"{float(wait_bar):.0%}" + missed(trainer, 1)),
        ("`tessera train` to the end of its first step, cold, cached",
         f"{start['cold']:.1f}, {start['cached']:.1f} s", "",
         f"{cold_bar}, {cached_bar} s" + (missed(trainer, 2) or missed(trainer, 3))),
        ("its memory", f"{memory['steps_over_plan']:.2f} x what the plan has alive", "",
         f"{memory_bar} x" + missed(trainer, 4)),
    ]


def checkpoint_rows(saving: dict) -> list[tuple[str, str, str, str]]:
    """What saving costs a training."""
    stall_bar, steps_bar = limits("checkpoint_cpu")
    longer = statistics.median(saving["training_with_save_over_without"])
    times = saving["times"]
    return [
        (f"stall by an asynchronous save of {saving['shape']['bytes'] / 2**30:.1f} GiB"
         + elsewhere(saving, load("encoder_cpu")), f"{times['stall']['median_ms']:.0f} ms",
         f"memcpy {times['memcpy']['median_ms']:.0f} ms", f"{stall_bar} x memcpy" + missed(saving, 0)),
        (f"{saving['steps']} steps with such a save", f"{longer:.3f} x those without", "",
         f"{steps_bar} x" + missed(saving, 1)),
    ]


ROWS_OF = dict(zip(NEW_BENCHMARKS, (trainer_rows, end_to_end_rows, checkpoint_rows)))


def missed(result: dict, bar: int) -> str:
    """What is said of a bar that is missed."""
    return "" if result["bars"][bar]["passes"] else ", **missed**"


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
    return [f"{name}: {bar}" for name in (*BENCHMARKS, *filter(is_measured, NEW_BENCHMARKS))
            if name not in KNOWN_MISSES for bar in load(name)["bars"] if not bar["passes"]]


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
