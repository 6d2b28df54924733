# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Arrays of the host and of devices, and conversion from and to other libraries."""
