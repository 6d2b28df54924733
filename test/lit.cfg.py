# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
import os
import platform

import lit.formats

config.name = "Tessera"
config.test_format = lit.formats.ShTest(execute_external=False)
config.suffixes = [".mlir"]
config.test_source_root = os.path.join(os.path.dirname(__file__), "lit")
config.test_exec_root = os.path.join(config.tessera_obj, "test", "lit")
config.environment["PATH"] = os.pathsep.join(
    [os.path.join(config.tessera_obj, "bin"), config.llvm_tools_dir, config.environment["PATH"]]
)
if platform.machine() == "x86_64":
    config.available_features.add("x86")
config.environment["FILECHECK_OPTS"] = "--enable-var-scope --dump-input-filter=all"
