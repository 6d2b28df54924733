# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs as text: what the tests share that compile and run them."""

import numpy as np
import pytest

from tessera._src.core.errors import CompileError
from tessera._src.programs import native, runtime


def mesh_tensor(text: str, layout: str = "") -> str:
    """The type of a mesh tensor, as "2x3xf32"."""
    return f"!tessera.mesh_tensor<{text}, @mesh{', ' + layout if layout else ''}>"


def run(text: str, inputs: list[np.ndarray], target: str) -> list[np.ndarray]:
    """Compiles a program for a target and runs it on whole tensors."""
    artefact, _, _ = native.compile_text(text, target=target)
    executable = runtime.Executable(artefact)
    words = [word for array in inputs for word in (native.pointer_of(array), 0)]
    return executable.run(words)


def kernels_of(text: str, chip: str) -> list[dict]:
    """What ptxas says of a program's kernels; skips the test where there is no ptxas."""
    try:
        _, _, report = native.compile_text(text, target=f"cuda:{chip}", emit="artefact")
    except CompileError as error:
        if "ptxas not found" in str(error):
            pytest.skip("ptxas is not installed")
        raise
    return report["kernels"]
