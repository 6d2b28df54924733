// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// What tests add to what they test.
#include <gtest/gtest.h>
