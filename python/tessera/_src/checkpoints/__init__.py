# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Saving and loading the state of a training, and weights of PyTorch."""
