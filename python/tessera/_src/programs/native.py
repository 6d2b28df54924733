# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Opens the C libraries when first needed, and wraps the compiler's; runtime.py wraps the other."""

from __future__ import annotations

import ctypes
import json
import os
import weakref
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tessera._src.core import dtypes, source
from tessera._src.core.errors import CompileError, from_diagnostics
from tessera._src.programs import printing
from tessera._src.programs.build_id import build_id

# Not resolved: the package of a build tree is made of links to the sources.
_PACKAGE = Path(os.path.abspath(__file__)).parents[2] / "_native"
# Characters of a program from which on making it takes so much memory that giving it back is worth the time.
_LARGE_TEXT = 1 << 16


class _CompileOptions(ctypes.Structure):
    """Of CompilerCApi.h."""

    _fields_ = [
        ("target", ctypes.c_char_p),
        ("entry", ctypes.c_char_p),
        ("sourceName", ctypes.c_char_p),
        ("forbidImplicit", ctypes.POINTER(ctypes.c_char_p)),
        ("numForbidden", ctypes.c_int64),
        ("jobs", ctypes.c_int64),
        ("keepsStages", ctypes.c_int32),
    ]


class _HostTensor(ctypes.Structure):
    _fields_ = [
        ("dtype", ctypes.c_char_p),
        ("rank", ctypes.c_int64),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("data", ctypes.c_void_p),
    ]


def library_path(name: str) -> Path:
    """Where a library of the build is: beside the package, or in TESSERA_NATIVE_DIR."""
    places = [_PACKAGE]
    if os.environ.get("TESSERA_NATIVE_DIR"):
        places.insert(0, Path(os.environ["TESSERA_NATIVE_DIR"]))
    for place in places:
        if (place / name).exists():
            return place / name
    raise CompileError(
        "TS5002",
        f"{name} is not there",
        notes=[f"looked in {place}" for place in dict.fromkeys(places)],
        hint="build it (tools/build) and put build/release/python on PYTHONPATH",
        location=source.NOWHERE,
    )


def is_available(name: str = "libtessera_compiler.so") -> bool:
    """Whether a library can be found (it is not opened)."""
    try:
        return library_path(name).exists()
    except CompileError:
        return False


def open_library(name: str) -> ctypes.CDLL:
    path = library_path(name)
    try:
        return ctypes.CDLL(str(path))
    except OSError as error:
        raise CompileError("TS5002", f"{path} does not load: {error}",
                           location=source.NOWHERE) from None


@lru_cache(maxsize=None)
def _compiler() -> ctypes.CDLL:
    library = open_library("libtessera_compiler.so")
    library.tesseraCompilerVersion.restype = ctypes.c_char_p
    library.tesseraCompilationCreate.restype = ctypes.c_void_p
    library.tesseraCompilationCreate.argtypes = [ctypes.c_char_p, ctypes.c_size_t,
                                                 ctypes.POINTER(_CompileOptions)]
    library.tesseraCompilationDestroy.restype = None
    library.tesseraCompilationDestroy.argtypes = [ctypes.c_void_p]
    library.tesseraCompilationEmit.restype = ctypes.c_void_p
    library.tesseraCompilationEmit.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    tensors = ctypes.POINTER(_HostTensor)
    library.tesseraCompilationInterpret.restype = ctypes.c_void_p
    library.tesseraCompilationInterpret.argtypes = [
        ctypes.c_void_p, ctypes.c_char_p, tensors, ctypes.c_int64, tensors, ctypes.c_int64,
    ]
    library.tesseraDifferentiate.restype = ctypes.c_void_p
    library.tesseraDifferentiate.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p,
        ctypes.POINTER(ctypes.c_int64), ctypes.c_int64, ctypes.POINTER(ctypes.c_int64), ctypes.c_int64,
    ]
    library.tesseraVectorize.restype = ctypes.c_void_p
    library.tesseraVectorize.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int64,
        ctypes.POINTER(ctypes.c_int64), ctypes.c_int64, ctypes.POINTER(ctypes.c_char_p), ctypes.c_int64,
    ]
    library.tesseraCapture.restype = ctypes.c_void_p
    library.tesseraCapture.argtypes = [
        ctypes.c_char_p, ctypes.c_size_t, ctypes.POINTER(ctypes.c_int64), ctypes.POINTER(ctypes.c_void_p),
        ctypes.POINTER(ctypes.c_size_t), ctypes.c_int64,
    ]
    library.tesseraResultOk.argtypes = [ctypes.c_void_p]
    library.tesseraResultDestroy.argtypes = [ctypes.c_void_p]
    library.tesseraResultDestroy.restype = None
    for getter in ("Data", "Diagnostics", "Report"):
        function = getattr(library, f"tesseraResult{getter}")
        function.restype = ctypes.c_void_p
        function.argtypes = [ctypes.c_void_p, ctypes.POINTER(ctypes.c_size_t)]
    printing.connect(library, "tesseraCompilerSetPrint")
    return library


@lru_cache(maxsize=None)
def compiler_version() -> str:
    """Names the compiler's build, without opening it: finding a cached program takes no compiler."""
    return build_id(library_path("libtessera_compiler.so")) or full_version()


def full_version() -> str:
    """What the compiler says it is: its build, LLVM's version, that of plans, and its processor."""
    return _compiler().tesseraCompilerVersion().decode()


def _finish(handle: int, summary: str) -> tuple[bytes, list[dict], dict]:
    library = _compiler()
    try:
        def read(getter: str) -> bytes:
            size = ctypes.c_size_t(0)
            pointer = getattr(library, f"tesseraResult{getter}")(handle, ctypes.byref(size))
            return ctypes.string_at(pointer, size.value) if pointer else b""

        diagnostics = json.loads(read("Diagnostics").decode("utf-8", "replace") or "[]")
        if not library.tesseraResultOk(handle):
            printing.raise_failure()
            raise from_diagnostics(diagnostics, summary)
        report = json.loads(read("Report").decode("utf-8", "replace") or "{}")
        return read("Data"), diagnostics, report
    finally:
        library.tesseraResultDestroy(handle)


class Compilation:
    """A program in the compiler, which makes each stage once, whatever is asked and in which order.

    Args:
        text: a module of any stage.
        target: as `ts.jit` takes it.
        entry: the name of the entry function.
        forbidImplicit: kinds of collectives that are an error.
        jobs: kernels compiled at once; 0: one per core.
        keeps_stages: whether later questions reuse the stages that were made.
    """

    def __init__(self, text: str, *, target: str = "cpu", entry: str = "main",
                 forbidImplicit: Sequence[str] = (), jobs: int = 0, keeps_stages: bool = True):
        kinds = [kind.encode() for kind in forbidImplicit]
        options = _CompileOptions(
            target=target.encode(), entry=entry.encode(), jobs=jobs, keepsStages=keeps_stages,
            forbidImplicit=(ctypes.c_char_p * max(len(kinds), 1))(*kinds), numForbidden=len(kinds))
        data = text.encode()
        library = _compiler()
        self._handle = library.tesseraCompilationCreate(data, len(data), ctypes.byref(options))
        self._release = weakref.finalize(self, library.tesseraCompilationDestroy, self._handle)

    def emit(self, stage: str) -> tuple[bytes, list[dict], dict]:
        """Stage text, or the bytes of an object or artefact; diagnostics; the report so far."""
        handle = _compiler().tesseraCompilationEmit(self._handle, stage.encode())
        return _finish(handle, "the program does not compile")

    def interpret(self, stage: str, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]) -> None:
        """Evaluates the program at a stage by the reference interpreter; fills `outputs`."""
        given, keep_given = _host_tensors(inputs)
        wanted, keep_wanted = _host_tensors(outputs)
        handle = _compiler().tesseraCompilationInterpret(
            self._handle, stage.encode(), given, len(inputs), wanted, len(outputs))
        del keep_given, keep_wanted
        _finish(handle, "the interpreter refused the program")


def compile_text(text: str, *, emit: str = "artefact", **options: Any) -> tuple[bytes, list[dict], dict]:
    """Compiles a module once: stage text or artefact bytes, diagnostics, report."""
    compilation: Compilation | None = Compilation(text, keeps_stages=False, **options)
    try:
        return compilation.emit(emit)
    finally:
        compilation = None
        give_back_memory(text)


def give_back_memory(text: str) -> None:
    """What tracing, differentiating and compiling a large program took goes back to the system: the C library
    would keep it, which for a training that compiles once and runs for long is memory held for nothing."""
    if len(text) > _LARGE_TEXT:
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc has it.
        if trim is not None:
            trim(0)


def differentiate(text: str, function: str, mode: str, prefix: str, wanted: Sequence[int],
                  results: Sequence[int] | None = None) -> tuple[list[str], dict]:
    """The texts of the functions that compute a derivative, and what is said of them.

    Args:
        text: a module of the stage `tessera`.
        mode: "vjp", "linearize" or "jvp".
        prefix: how the names of the functions begin.
        wanted: numbers of the function's arguments.
        results: numbers of its results that are differentiated; by default all of floats.
    """
    data = text.encode()
    numbers = results or ()
    handle = _compiler().tesseraDifferentiate(
        data, len(data), function.encode(), mode.encode(), prefix.encode(),
        (ctypes.c_int64 * max(len(wanted), 1))(*wanted), len(wanted),
        (ctypes.c_int64 * max(len(numbers), 1))(*numbers), -1 if results is None else len(numbers))
    return _functions(handle, "the program cannot be differentiated")


def vectorize(text: str, function: str, prefix: str, size: int, batched: Sequence[int], axes: Sequence[str]
              ) -> tuple[list[str], dict]:
    """The texts of the function that computes `function` for each entry of a batch, and of those it calls.

    Args:
        text: a module of the stage `tessera`.
        prefix: how the names of the functions begin.
        batched: numbers of the arguments that have the entries as a first dimension.
        axes: of the mesh, that split the entries where the function states layouts.
    """
    data = text.encode()
    handle = _compiler().tesseraVectorize(
        data, len(data), function.encode(), prefix.encode(), size,
        (ctypes.c_int64 * max(len(batched), 1))(*batched), len(batched),
        (ctypes.c_char_p * max(len(axes), 1))(*[axis.encode() for axis in axes]), len(axes))
    return _functions(handle, "the function cannot be computed for a batch")


def _functions(handle: int, summary: str) -> tuple[list[str], dict]:
    """The texts of the functions that a report lists."""
    made, _, report = _finish(handle, summary)
    texts, begin = [], 0
    for described in report["functions"]:
        texts.append(made[begin : begin + described["bytes"]].decode())
        begin += described["bytes"]
    return texts, report


def capture(artefact: bytes, first: int, values: Sequence[np.ndarray]) -> bytes:
    """An artefact that holds the values of its inputs from number `first` on."""
    count = len(values)
    keep = [np.ascontiguousarray(value) for value in values]
    handle = _compiler().tesseraCapture(
        artefact, len(artefact), (ctypes.c_int64 * count)(*range(first, first + count)),
        (ctypes.c_void_p * count)(*[pointer_of(value) for value in keep]),
        (ctypes.c_size_t * count)(*[value.nbytes for value in keep]), count)
    return _finish(handle, "the artefact does not take the captured arrays")[0]


def _host_tensors(arrays: Sequence[np.ndarray]):
    result = (_HostTensor * max(len(arrays), 1))()
    keep = []
    for item, array in zip(result, arrays):
        array = np.asarray(array)  # A NumPy scalar's memory would be a copy that is gone at once.
        shape = (ctypes.c_int64 * max(array.ndim, 1))(*array.shape)
        keep.append((shape, array))
        item.dtype = dtypes.MLIR_NAMES[array.dtype].encode()
        item.rank = array.ndim
        item.shape = shape
        item.data = pointer_of(array)
    return result, keep


def interpret(text: str, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray],
              *, stage: str = "tessera", entry: str = "main") -> None:
    """Evaluates a module by the reference interpreter; fills `outputs`."""
    Compilation(text, entry=entry, keeps_stages=False).interpret(stage, inputs, outputs)


def pointer_of(array: np.ndarray) -> int:
    """The address of an array's first element."""
    return array.__array_interface__["data"][0]  # array.ctypes.data takes three times as long.
