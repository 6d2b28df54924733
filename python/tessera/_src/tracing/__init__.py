# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tracing: the program's text, the values of a traced function, and conversion to them."""
