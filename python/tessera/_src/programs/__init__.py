# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Compiled programs: the two C libraries, the cache on disk, targets, the compiler's reports."""
