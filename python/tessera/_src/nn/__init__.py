# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Modules: layers that are trees of their weights."""
