# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What the tests of errors share: a check of what an error says and where it points."""

import sys


def check(caught, code: str, *fragments: str) -> None:
    """The error has this code, says these things and points into the file of the caller."""
    error = caught.value
    assert error.code == code, str(error)
    said = str(error).partition("\n  at ")[0]  # The line of source may hold the fragments itself.
    for fragment in fragments:
        assert fragment in said, str(error)
    assert error.location.file == sys._getframe(1).f_code.co_filename, str(error)
