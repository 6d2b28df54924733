# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the benchmarks of whole trainings share: raw text, a tokenizer, a configuration, resident memory."""

from __future__ import annotations

import ctypes
import gc
import json
import sysconfig
from pathlib import Path
from typing import Any

SEPARATOR = "<|document|>"
END = "<|end|>"
VOCABULARY = 8192
_TOKENIZER_TEXTS = 150  # Documents that the tokenizer is made of.


def prepare(folder: Path, small: bool = False) -> dict[str, Any]:
    """Writes texts.txt and tokenizer.json, and gives what is in them.

    The texts are the modules of Python's standard library, which are wherever this runs.
    """
    import tokenizers

    library = Path(sysconfig.get_paths()["stdlib"])
    files = [*sorted(library.glob("*.py")), *sorted(library.glob("*/*.py"))]
    texts = [path.read_text(errors="replace") for path in files[:40 if small else None]
             if not {"site-packages", "test", "tests"} & set(path.parts)]
    texts = [text for text in texts if text.strip()]
    (folder / "texts.txt").write_text(SEPARATOR.join(texts))
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = tokenizers.decoders.ByteLevel()
    tokenizer.train_from_iterator(texts[:_TOKENIZER_TEXTS], tokenizers.trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=[END], show_progress=False,
        initial_alphabet=tokenizers.pre_tokenizers.ByteLevel.alphabet()))
    tokenizer.save(str(folder / "tokenizer.json"))
    return {"documents": len(texts), "bytes": sum(len(text.encode()) for text in texts)}


def config(folder: Path, run: str, small: bool = False, **changes: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a GPT-2 of 6 layers of width 384, 8 x 256 tokens, 8,192 words, f32, on two
    threads; written to RUN.json and with RUN as its folder.

    Args:
        changes: by section, options that are others.
    """
    layers, heads, width, batch, length = (2, 2, 32, 4, 32) if small else (6, 6, 384, 8, 256)
    made: dict[str, Any] = {
        "model": {"architecture": "gpt2", "config": {
            "n_layer": layers, "n_head": heads, "n_embd": width, "n_positions": length,
            "vocab_size": VOCABULARY, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_pdrop": 0.0}},
        "parallel": {"threads": 2},
        "data": {"path": str(folder / "texts.txt"), "separator": SEPARATOR,
                 "tokenizer": str(folder / "tokenizer.json"), "eos": END},
        "optim": {"lr": 3e-4, "total": 100_000},
        "train": {"steps": 100_000, "batch": batch, "sequence_length": length, "folder": str(folder / run)},
    }
    for section, options in changes.items():
        made[section] = {**made.get(section, {}), **options}
    (folder / f"{run}.json").write_text(json.dumps(made))
    return made


def resident_mb(field: str) -> float:
    """VmRSS (now) or VmHWM (the most so far) of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def settled_mb() -> float:
    """VmRSS once what was freed has gone back to the system: later allocations cannot hide in it."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident_mb("VmRSS")


def forget_peak() -> None:
    """Makes what is resident now the most so far."""
    Path("/proc/self/clear_refs").write_text("5")
