# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Names of other projects' documents, as thin functions over Tessera's own."""
