# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Demo: trains a small GPT on the language reference of Python, on four CPU devices, in some minutes.

    python -m tessera.demo.train [--folder FOLDER] [SECTION.KEY=VALUE ...]

It is `tessera train train.yaml` with text that every machine with Python has. Run again, it goes on from its
newest checkpoint; --fresh removes FOLDER/run, and begins anew.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from tessera._src.commands.main import main as command
from tessera._src.core.errors import ConfigError, TesseraError
from tessera._src.training.config import TrainConfig
from tessera._src.training.trainer import Trainer

# What a training writes into its folder.
_WRITTEN = re.compile(r"\.?step-.*|config\.yaml|loss\.png|metrics\.jsonl(\.cut)?|\.lock|\.training\.lock")
CONFIG = Path(__file__).with_name("train.yaml")


def write_texts(folder: Path) -> None:
    """Writes the topics of pydoc, some 450 kB of English, as a file for each."""
    from pydoc_data import topics

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(topics.topics.items()):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def remove_run(folder: Path) -> None:
    """Removes the folder of a training, which is not there or holds nothing else.

    Raises: ConfigError (TS4031): it holds other files, or cannot be removed.
    """
    if not folder.is_dir():
        return
    others = [path.name for path in folder.iterdir() if not _WRITTEN.fullmatch(path.name)]
    if others:
        raise ConfigError("TS4031", f"{folder} is not removed: it has '{others[0]}', which no training wrote",
                          hint="move that away, or choose another --folder")
    try:
        shutil.rmtree(folder)
    except OSError as error:
        raise ConfigError("TS4031", f"{folder} cannot be removed: {error.strerror or error}") from None


def _check(overrides: list[str]) -> None:
    """Raises what is wrong with the configuration, of a folder that is not there."""
    with tempfile.TemporaryDirectory() as there:
        Trainer(None, TrainConfig.from_file(CONFIG, [*overrides, f"train.folder={there}/run"]))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/demo-train"),
                        help="where texts, checkpoints and metrics are written (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true",
                        help="removes FOLDER/run, which an earlier run has left, and begins anew")
    parser.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE")
    given = parser.parse_args(arguments)
    texts, run = given.folder / "texts", given.folder / "run"
    write_texts(texts)
    overrides = [f"data.path={texts}/*.txt", f"train.folder={run}", *given.overrides]
    if given.fresh:
        try:
            _check(overrides)
            remove_run(run)
        except TesseraError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
    code = command(["train", str(CONFIG), *overrides])
    if code == 0:
        print(f"the plot of the losses is {given.folder}/run/loss.png, their log metrics.jsonl, and the "
              f"weights are in the checkpoints beside them")
    return code


if __name__ == "__main__":
    sys.exit(main())
