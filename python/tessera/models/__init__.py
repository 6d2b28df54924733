# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models as plain functions over trees of weights."""

from tessera.models import encoder

__all__ = ["encoder"]
