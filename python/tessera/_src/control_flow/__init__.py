# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops and conditionals of traced programs, and stacked layers for them."""
