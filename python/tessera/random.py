# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers that depend on the key and the index alone, never on mesh or layout."""

from tessera._src.ops.rng import bits, fold_in, key, normal, split, uniform

__all__ = ["bits", "fold_in", "key", "normal", "split", "uniform"]
