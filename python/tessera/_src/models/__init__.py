# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Weights of models from files."""
