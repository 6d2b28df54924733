# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What watches a training, and what a run of a program took: logs, metrics, plots, traces."""
