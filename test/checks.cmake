# Checks of the house itself: layers, names, generated docs, format, linkage.
set(dev ${PROJECT_SOURCE_DIR}/tools/dev)
add_test(NAME check.layers COMMAND ${Python3_EXECUTABLE} ${dev}/check-layers.py)
add_test(NAME check.names COMMAND ${Python3_EXECUTABLE} ${dev}/check-names.py)
add_test(NAME check.documents COMMAND ${Python3_EXECUTABLE} ${dev}/check-documents.py)
add_test(NAME check.reference COMMAND ${Python3_EXECUTABLE} ${dev}/gen-docs.py --check
  --tblgen ${LLVM_TOOLS_BINARY_DIR}/mlir-tblgen --mlir-include ${LLVM_INCLUDE_DIRS})
add_test(NAME check.measurements COMMAND ${Python3_EXECUTABLE}
  ${PROJECT_SOURCE_DIR}/benchmarks/table.py --check)
add_test(NAME check.format COMMAND ${dev}/check-format)
add_test(NAME check.linkage COMMAND ${dev}/check-linkage.sh $<TARGET_FILE:tessera-opt>)
add_test(NAME check.runtime-linkage COMMAND ${dev}/check-runtime-linkage.sh
  $<TARGET_FILE:tessera-run> $<TARGET_FILE:tessera_rt>)
add_test(NAME check.op-examples COMMAND ${Python3_EXECUTABLE}
  ${dev}/check-op-examples.py --tessera-opt $<TARGET_FILE:tessera-opt>
  --tblgen ${LLVM_TOOLS_BINARY_DIR}/mlir-tblgen --mlir-include ${LLVM_INCLUDE_DIRS})
set_tests_properties(check.layers check.names check.documents check.reference
  check.measurements check.format check.linkage check.runtime-linkage
  check.op-examples PROPERTIES LABELS check TIMEOUT 600)
set_tests_properties(check.layers check.names check.documents check.format
  PROPERTIES LABELS "check;quick")
