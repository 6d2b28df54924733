# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Calls of the package's functions by parameters that they do not have."""

from __future__ import annotations

import inspect
import re
import sys

from tessera._src.core import source
from tessera._src.core.errors import TraceError, did_you_mean, without_internal_frames

_UNEXPECTED = re.compile(r"(\w+)\(\) got an unexpected keyword argument '(\w+)'")
# Names of other libraries.
_ALIASES = {"dim": "axis", "keepdim": "keepdims", "input": "x", "other": "y", "correction": "ddof",
            "unbiased": "ddof", "dims": "axis", "axes": "axis"}


def raise_unknown_parameter(error: BaseException) -> None:
    """Raises an error that lists the parameters, if `error` says that a ts function lacks one."""
    found = _UNEXPECTED.match(str(error)) if type(error) is TypeError else None
    public = sys.modules.get("tessera")
    if found is None or public is None:
        return
    name, parameter = found.groups()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or source.is_internal(trace.tb_frame.f_code.co_filename):
        return  # The call is not the user's.
    for place, module in (("ts", public), ("ts.nn", public.nn), ("ts.random", public.random)):
        function = vars(module).get(name)
        if not inspect.isfunction(function):
            continue
        parameters = inspect.signature(function).parameters
        if parameter in parameters:
            continue
        code = trace.tb_frame.f_code
        place_of_call = source.Location(code.co_filename, trace.tb_lineno, 1)
        raise without_internal_frames(TraceError(
            "TS1025", f"{place}.{name} has no parameter '{parameter}'", choices=parameters,
            hint=did_you_mean(parameter, parameters, _ALIASES), location=place_of_call)) from None
