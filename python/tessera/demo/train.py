# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Demo: trains a small GPT on the language reference of Python, on four CPU devices, in some minutes.

    python -m tessera.demo.train [--folder FOLDER] [SECTION.KEY=VALUE ...]

It is `tessera train train.yaml` with text that every machine with Python has. Run again, it goes on from its
newest checkpoint; --fresh begins anew.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path

from tessera._src.commands.main import main as command

CONFIG = Path(__file__).with_name("train.yaml")


def write_texts(folder: Path) -> None:
    """Writes the topics of pydoc, some 450 kB of English, as a file for each."""
    from pydoc_data import topics

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in sorted(topics.topics.items()):
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/demo-train"),
                        help="where texts, checkpoints and metrics are written (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="removes what an earlier run has left there")
    parser.add_argument("overrides", nargs="*", metavar="SECTION.KEY=VALUE")
    given = parser.parse_args(arguments)
    if given.fresh:
        shutil.rmtree(given.folder, ignore_errors=True)
    texts = given.folder / "texts"
    write_texts(texts)
    code = command(["train", str(CONFIG), f"data.path={texts}/*.txt", f"train.folder={given.folder}/run",
                    *given.overrides])
    if code == 0:
        print(f"the plot of the losses is {given.folder}/run/loss.png, their log metrics.jsonl, and the "
              f"weights are in the checkpoints beside them")
    return code


if __name__ == "__main__":
    sys.exit(main())
