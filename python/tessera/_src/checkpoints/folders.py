# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Folders of checkpoints: DIR/step-00000123, each there whole or not at all.

A step is written into a hidden folder, `.step-00000123.HEX.tmp`, which is renamed when all is on disk;
one that goes is first renamed to `.step-00000123.HEX.old`. What a process that was killed leaves is
hidden, and removed by the next save, which alone may write: a lock of the directory tells whose is alive.
"""

from __future__ import annotations

import errno
import os
import re
import secrets
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tessera._src.checkpoints.index import INDEX, PART, Index, read_index
from tessera._src.core import source
from tessera._src.core.errors import CheckpointError

try:
    import fcntl
except ImportError:  # Of another system: there two processes must not save into one directory.
    fcntl = None  # type: ignore[assignment]

_STEP = re.compile(r"step-(\d{8,})")
_HIDDEN = re.compile(r"\.step-\d{8,}\.[0-9a-f]{12}\.(?:tmp|old)")
_LOCK = ".lock"
# What the system says where there is no room for a file.
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def step_folder(directory: Path, step: int) -> Path:
    """Where a step's checkpoint is."""
    return directory / f"step-{step:08d}"


def hidden_folder(directory: Path, step: int, kind: str) -> Path:
    """A new name for a folder that is no checkpoint yet ("tmp") or no more ("old")."""
    return directory / f".step-{step:08d}.{secrets.token_hex(6)}.{kind}"


def step_folders(directory: Path) -> dict[int, Path]:
    """Folders that have the name of a step, whatever is in them, the first step first."""
    try:
        names = os.listdir(directory)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CheckpointError("TS6001", f"{directory} cannot be read: {error.strerror or error}") from None
    found = {int(match[1]): directory / name for name in names if (match := _STEP.fullmatch(name))}
    return dict(sorted(found.items()))


def steps(directory: str | os.PathLike) -> list[int]:
    """The steps whose checkpoints in a directory are complete, the first one first.

    One whose index is damaged or gone is left out with a warning; `verify` tells more. A directory that does
    not exist has none.
    """
    return [step for step, folder in step_folders(Path(directory)).items() if _is_complete(folder)]


def latest(directory: str | os.PathLike) -> int | None:
    """The newest step whose checkpoint is complete; None where there is none."""
    for step, folder in reversed(step_folders(Path(directory)).items()):
        if _is_complete(folder):
            return step
    return None


def newest_and_damaged(directory: str | os.PathLike) -> tuple[int | None, dict[Path, str]]:
    """The newest complete step, and the folders of later ones whose index is damaged or gone, with what is
    wrong. What a process was writing when it was killed has no such name."""
    damaged: dict[Path, str] = {}
    for step, folder in reversed(step_folders(Path(directory)).items()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                if _is_complete(folder):
                    return step, damaged
            if has_files(folder):
                read_index(folder)
        except CheckpointError as error:
            damaged[folder] = error.message
    return None, damaged


def has_files(folder: Path) -> bool:
    """Whether a folder has any file of a checkpoint."""
    try:
        return any(name == INDEX or PART.fullmatch(name) for name in os.listdir(folder))
    except OSError:  # Another process removed it just now, or it is a file.
        return False


def _is_complete(folder: Path) -> bool:
    if not has_files(folder):
        return False
    try:
        read_index(folder)
    except CheckpointError as error:
        if error.code == "TS6001" and not folder.exists():  # Another process removed it just now.
            return False
        if error.code == "TS6003":
            return True
        warnings.warn(f"checkpoint {folder.name} is left out: {error.message}", RuntimeWarning, stacklevel=4)
        return False
    return True


def is_step_folder(path: Path) -> bool:
    """Whether this is the folder of one step, not the directory of them all."""
    return _STEP.fullmatch(path.name) is not None and (path / INDEX).exists()


def open_folder(path: str | os.PathLike, step: int | None) -> tuple[Path, Index]:
    """A step's folder and its index: of `step`, of the newest one, or `path` itself where it is one.

    Raises:
        CheckpointError: there is no such checkpoint (TS6001); what read_index raises.
    """
    path = Path(path)
    if is_step_folder(path):
        index = read_index(path)
        if step is not None and step != index.step:
            raise CheckpointError("TS6001", f"{path} is step {index.step}", expected=f"step {step}",
                                  hint="pass the directory that has the steps")
        return path, index
    if step is None:
        step = latest(path)
        if step is None:
            raise CheckpointError("TS6001", f"{path} has no complete checkpoint"
                                  if path.is_dir() else f"{path} does not exist" if not path.exists()
                                  else f"{path} is no directory",
                                  expected="a directory that ts.checkpoints.save has written into")
    folder = step_folder(path, step)
    if not (folder / INDEX).exists():
        raise CheckpointError("TS6001", f"{path} has no checkpoint of step {step}", choices=steps(path))
    return folder, read_index(folder)


@contextmanager
def locked(directory: Path, place: source.Location | None, name: str = _LOCK,
           holder: str = "another process is saving into") -> Iterator[bool]:
    """Holds a lock of the directory: whether there is one, as network file systems have none.

    Args:
        name: of the file that is locked, which stays.
        holder: what has the lock where this cannot, for the error.

    Raises: CheckpointError (TS6009) while another process has it.
    """
    if fcntl is None:
        yield False
        return
    file = os.open(directory / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        is_held = True
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CheckpointError("TS6009", f"{holder} {directory}", location=place,
                                  hint="give each training a directory of its own") from None
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise
            is_held = False
        try:
            yield is_held
        finally:
            if is_held:  # Closing is not enough where a child of this process has the file too.
                fcntl.flock(file, fcntl.LOCK_UN)
    finally:
        os.close(file)


def clean(directory: Path) -> None:
    """Removes what killed processes left; the caller holds the lock."""
    for name in os.listdir(directory):
        if _HIDDEN.fullmatch(name):
            shutil.rmtree(directory / name, ignore_errors=True)
    for step, folder in step_folders(directory).items():
        # Such as a copy that was cut short; what has other files in it is not ours.
        if folder.is_dir() and all(PART.fullmatch(name) for name in os.listdir(folder)):
            remove(directory, step)


def remove(directory: Path, step: int) -> None:
    """Removes a step's checkpoint, which is gone at once even if this is interrupted."""
    gone = hidden_folder(directory, step, "old")
    os.rename(step_folder(directory, step), gone)
    shutil.rmtree(gone)
