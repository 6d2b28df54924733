# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Optimizers, schedules of the learning rate, clipping and loss scaling."""
