# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions traced by themselves, beside the program, and calls of them."""
