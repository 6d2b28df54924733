# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Implementation; import the public modules instead."""
