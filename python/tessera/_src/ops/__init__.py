# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The functions of a traced program: elementwise, reductions, products, indexing, neural networks."""
