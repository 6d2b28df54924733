# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The command `tessera`: a module for each of its sub-commands."""
