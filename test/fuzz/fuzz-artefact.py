#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Damages an artefact at random and gives it to tessera-run.

Compiles a small program over two devices, changes bits, numbers, the length or the order of its parts,
and mostly writes a right checksum over the result. tessera-run must refuse each with a sentence or run
it; a signal, a sanitizer's report or 20 seconds of silence is a failure, and the artefact is kept in
--out. Kernels are code and trusted: behind a right checksum, objects stay whole and run on the device
'null'. Default: 300 artefacts, or TESSERA_FUZZ_SEEDS.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

PROGRAM = """
dist.mesh @mesh <[tp = 2]>
!x = !tessera.mesh_tensor<3x4xf32, @mesh, [{}, {tp}]>
!w = !tessera.mesh_tensor<4x5xf32, @mesh, [{tp}, {}]>
!y = !tessera.mesh_tensor<3x5xf32, @mesh>
func.func @main(%x: !x, %w: !w) -> !y {
  %0 = tessera.contract %x, %w "mk,kn->mn" : !x, !w -> !y
  return %0 : !y
}
"""
HEADER = struct.Struct("<8sIIQ")
SECTION = struct.Struct("<IIQQ")
PLAN = 1  # A section's kind.
MEMORY = 1 << 28
NUMBERS = [0, 1, 2, 7, 255, 2**31 - 1, 2**32 - 1, 2**40, 2**62, 2**63, 2**64 - 1]


def checksum(body: bytes) -> int:
    """FNV-1a, as PlanCodec.h writes it."""
    value = 0xCBF29CE484222325
    for byte in body:
        value = (value ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def checked(artefact: bytes) -> bytes:
    """With the checksum of what it holds now."""
    if len(artefact) < HEADER.size:
        return artefact
    magic, version, sections, _ = HEADER.unpack_from(artefact)
    return HEADER.pack(magic, version, sections, checksum(artefact[HEADER.size :])) + artefact[HEADER.size :]


def sections_of(artefact: bytes) -> list[tuple[int, bytes]]:
    count = HEADER.unpack_from(artefact)[2]
    table = [SECTION.unpack_from(artefact, HEADER.size + i * SECTION.size) for i in range(count)]
    return [(kind, artefact[offset : offset + size]) for kind, _, offset, size in table]


def assembled(artefact: bytes, sections: list[tuple[int, bytes]]) -> bytes:
    """An artefact of other sections with a right table and checksum."""
    magic, version, _, _ = HEADER.unpack_from(artefact)
    offset = HEADER.size + len(sections) * SECTION.size
    table = b""
    for kind, content in sections:
        table += SECTION.pack(kind, 0, offset, len(content))
        offset += len(content)
    body = table + b"".join(content for _, content in sections)
    return HEADER.pack(magic, version, len(sections), checksum(body)) + body


def changed(data: bytes, rng: random.Random) -> bytes:
    """With some bits, bytes or numbers changed, or cut, or with a part repeated."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        at = rng.randrange(len(out))
        kind = rng.randrange(5)
        if kind == 0:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            out[at] = rng.randrange(256)
        elif kind == 2:  # Lengths, sizes and offsets have eight bytes, others four or one.
            width = rng.choice([1, 4, 8])
            number = rng.choice(NUMBERS + [rng.randrange(300)]) % 256**width
            out[at : at + width] = number.to_bytes(width, "little")
        elif kind == 3:
            del out[at : at + rng.choice([1, 4, 8, 64, len(out)])]
        else:
            begin = rng.randrange(len(out))
            out[at:at] = out[begin : begin + rng.choice([1, 8, 64])]
        if not out:
            break
    return bytes(out)


def damage(artefact: bytes, rng: random.Random) -> bytes:
    """Damage of one kind: to the bytes, to the table, to the plan or to the order of sections."""
    kind = rng.randrange(8)
    if kind == 0:
        return changed(artefact, rng)
    sections = sections_of(artefact)
    if kind == 1:
        end = HEADER.size + len(sections) * SECTION.size
        return checked(changed(artefact[:end], rng) + artefact[end:])
    if kind == 2:
        return assembled(artefact, [rng.choice(sections) for _ in range(rng.randrange(6))])
    return assembled(artefact, [(kind, changed(content, rng) if kind == PLAN else content)
                                for kind, content in sections])


def limit_memory() -> None:
    """An artefact may ask for tensors that take minutes to fill."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def fault_of(run: list[str]) -> str | None:
    """What is wrong with how tessera-run took an artefact; None when nothing is."""
    # The address sanitizer maps more than there is, and has a limit of its own.
    sanitized = b"__asan_init" in Path(run[0]).read_bytes()
    options = f"{os.environ.get('ASAN_OPTIONS', '')}:max_allocation_size_mb={MEMORY >> 20}"
    try:
        done = subprocess.run(run, capture_output=True, text=True, errors="replace", timeout=20,
                              env=os.environ | {"ASAN_OPTIONS": options},
                              preexec_fn=None if sanitized else limit_memory)
    except subprocess.TimeoutExpired:
        return "ran for more than 20 seconds"
    # A sanitizer's allocator ends the process where the C++ library reports that there is no memory.
    if "allocation-size-too-big" in done.stderr or "out-of-memory" in done.stderr:
        return None
    if done.returncode == 0 and not done.stderr:
        return None
    refused = done.returncode == 1 and done.stderr.startswith("tessera-run: error: ")
    return None if refused else f"ended with {done.returncode}:\n{done.stderr}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tessera-compile", required=True)
    parser.add_argument("--tessera-run", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=int(os.environ.get("TESSERA_FUZZ_SEEDS", 300)))
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source, path = Path(folder, "program.mlir"), Path(folder, "program.tsr")
        source.write_text(PROGRAM)
        subprocess.run([options.tessera_compile, source, "-o", path], check=True)
        artefact = path.read_bytes()
        assert fault_of([options.tessera_run, str(path), "--threads=2"]) is None
        run = [options.tessera_run, str(path), "--device=null", "--threads=2"]
        failures = 0
        for seed in range(options.first, options.first + options.seeds):
            damaged = damage(artefact, random.Random(seed))
            path.write_bytes(damaged)
            fault = fault_of(run)
            if fault is None:
                continue
            failures += 1
            options.out.mkdir(parents=True, exist_ok=True)
            kept = options.out / f"artefact-{seed}.tsr"
            kept.write_bytes(damaged)
            print(f"seed {seed}: {fault}\n  tessera-run {kept} --device=null --threads=2", file=sys.stderr)
    print(f"{options.seeds} damaged artefacts, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
