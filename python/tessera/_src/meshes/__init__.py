# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Meshes of devices, layouts on them, and the annotations of functions that name both."""
