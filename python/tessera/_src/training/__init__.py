# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Training of causal language models: the configuration, the compiled step, and the loop around it."""
