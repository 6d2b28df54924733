# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of one entry computed for a batch of them: ts.vmap."""
