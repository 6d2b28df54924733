# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Data of language models, on the host: from files of text or tokens to batches."""
