# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What every room uses: errors, the user's source lines, element types, trees, files."""
