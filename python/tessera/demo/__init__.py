# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Programs that show what works: python -m tessera.demo.minilm."""
