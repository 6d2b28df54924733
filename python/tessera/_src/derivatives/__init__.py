# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Derivatives of functions of traced values: ts.grad, ts.vjp, ts.jvp and what is made of them."""
