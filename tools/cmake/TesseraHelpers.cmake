# The few verbs the build is written in: tessera_tablegen, tessera_op_families,
# tessera_add_library, tessera_add_plain_library and tessera_add_tool.

# Flags and libraries of everything that uses MLIR. Only the shared libraries
# MLIR and LLVM are ever named: one static MLIR target more and the linker
# silently embeds a second copy of the type registry.
add_library(tessera_mlir INTERFACE)
target_link_libraries(tessera_mlir INTERFACE MLIR LLVM)
target_compile_options(tessera_mlir INTERFACE
  -Wall -Wextra -Wno-unused-parameter)
# The build ID, a hash of the file, is the version that compiled programs are
# cached under.
add_link_options(-fuse-ld=lld -Wl,--build-id=sha1)

if(TESSERA_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ccache)
endif()

# tessera_add_pch(NAME HEADER [ON BASE] [LIBS LIBS...]): a precompiled header. ON
# another one it holds what HEADER adds to that, which is then not compiled twice.
# What uses it must be compiled alike: position-independent, without exceptions, and
# at the same -O.
function(tessera_add_pch name header)
  cmake_parse_arguments(ARG "" "ON" "LIBS" ${ARGN})
  set(target tessera_pch_${name})
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/pch/${name}.cpp CONTENT "")
  add_library(${target} STATIC ${PROJECT_BINARY_DIR}/pch/${name}.cpp)
  target_precompile_headers(${target} PRIVATE ${PROJECT_SOURCE_DIR}/tools/cmake/${header})
  target_compile_options(${target} PRIVATE -fno-exceptions)
  target_link_libraries(${target} PRIVATE ${ARG_LIBS})
  if(ARG_ON)
    set(folder ${PROJECT_BINARY_DIR}/CMakeFiles)
    set(base ${folder}/tessera_pch_${ARG_ON}.dir/cmake_pch.hxx.pch)
    # CMake has no verb for it. The last such flag counts, and an empty source
    # gets CMake's own after this one.
    target_compile_options(${target} PRIVATE
      "SHELL:-Xclang -include-pch -Xclang ${base}")
    set_source_files_properties(${folder}/${target}.dir/cmake_pch.hxx.cxx
      PROPERTIES OBJECT_DEPENDS ${base})
    add_dependencies(${target} tessera_pch_${ARG_ON})
  endif()
endfunction()

# Tests of what has no MLIR, which spend most of their compile time in the optimiser.
# What they test is optimised.
set(tessera_plain_test_options $<$<CONFIG:Release>:-O0>)

# `core` is MLIR. On it are
#   tensor (Dist, Tessera), on which is kernel (Tile, Plan), and
#   lowering (Tile, LLVM, NVVM, GPU, vector), on which are pipelines (the other
#   dialects) and lowering_test (GoogleTest).
# A library takes one whose dialects nearly all its files include: an edit of those
# compiles them anyway. `plain` and `plain_test` are for what has no MLIR.
if(TESSERA_PCH)
  tessera_add_pch(plain PCHPlain.h)
  target_compile_options(tessera_pch_plain PRIVATE -O2)
  tessera_add_pch(plain_test PCHPlainTest.h LIBS GTest::gtest)
  target_compile_options(tessera_pch_plain_test PRIVATE
    ${tessera_plain_test_options})
  tessera_add_pch(core PCHCore.h LIBS tessera_mlir)
  tessera_add_pch(tensor PCHTensor.h ON core LIBS tessera_mlir)
  tessera_add_pch(kernel PCHKernel.h ON tensor LIBS tessera_mlir)
  tessera_add_pch(lowering PCHLowering.h ON core LIBS tessera_mlir)
  tessera_add_pch(pipelines PCHPipelines.h ON lowering LIBS tessera_mlir)
  tessera_add_pch(lowering_test PCHTest.h ON lowering
    LIBS GTest::gtest tessera_mlir)
  foreach(pch tensor kernel lowering pipelines)
    add_dependencies(tessera_pch_${pch} tessera-headers)
  endforeach()
endif()

# tessera_use_pch(TARGET NAME): NAME may be `none`.
function(tessera_use_pch target name)
  if(TESSERA_PCH AND NOT name STREQUAL "none")
    target_precompile_headers(${target} REUSE_FROM tessera_pch_${name})
  endif()
endfunction()

# tessera_tablegen(FILE KIND [DIALECT]): runs mlir-tblgen on FILE once per
# output that KIND (Dialect, Types, Attrs, Enums, Interfaces, Ops, Passes) asks
# for. Passes takes the registration group's name as third argument.
function(tessera_tablegen file kind)
  get_filename_component(stem ${file} NAME_WE)
  set(LLVM_TARGET_DEFINITIONS ${file})
  if(kind STREQUAL "Dialect")
    mlir_tablegen(${stem}.h.inc -gen-dialect-decls)
    mlir_tablegen(${stem}.cpp.inc -gen-dialect-defs)
  elseif(kind STREQUAL "Types")
    mlir_tablegen(${stem}.h.inc -gen-typedef-decls)
    mlir_tablegen(${stem}.cpp.inc -gen-typedef-defs)
  elseif(kind STREQUAL "Attrs")
    mlir_tablegen(${stem}.h.inc -gen-attrdef-decls)
    mlir_tablegen(${stem}.cpp.inc -gen-attrdef-defs)
  elseif(kind STREQUAL "Enums")
    mlir_tablegen(${stem}.h.inc -gen-enum-decls)
    mlir_tablegen(${stem}.cpp.inc -gen-enum-defs)
  elseif(kind STREQUAL "Interfaces")
    mlir_tablegen(${stem}.h.inc -gen-op-interface-decls)
    mlir_tablegen(${stem}.cpp.inc -gen-op-interface-defs)
  elseif(kind STREQUAL "Ops")
    mlir_tablegen(${stem}.h.inc -gen-op-decls)
    mlir_tablegen(${stem}.cpp.inc -gen-op-defs)
  elseif(kind STREQUAL "Passes")
    mlir_tablegen(${stem}.h.inc -gen-pass-decls -name ${ARGV2})
  else()
    message(FATAL_ERROR "tessera_tablegen: unknown kind ${kind}")
  endif()
  string(MD5 hash ${CMAKE_CURRENT_SOURCE_DIR}/${stem})
  add_custom_target(tessera-inc-${stem}-${hash} DEPENDS ${TABLEGEN_OUTPUT})
  add_dependencies(tessera-headers tessera-inc-${stem}-${hash})
endfunction()

# tessera_op_families(DIALECT FAMILIES...): runs mlir-tblgen on FAMILY.td of each
# family of ops, and writes DIALECTOps.inc, which adds all of them to the dialect
# in its initialize().
function(tessera_op_families dialect)
  file(RELATIVE_PATH folder ${PROJECT_BINARY_DIR} ${CMAKE_CURRENT_BINARY_DIR})
  set(lines "")
  foreach(family ${ARGN})
    tessera_tablegen(${family}.td Ops)
    string(APPEND lines "addOperations<\n#define GET_OP_LIST\n"
                        "#include \"${folder}/${family}.cpp.inc\"\n>();\n")
  endforeach()
  file(CONFIGURE OUTPUT ${CMAKE_CURRENT_BINARY_DIR}/${dialect}Ops.inc
       CONTENT "${lines}" @ONLY)
endfunction()

# tessera_add_library(NAME SOURCES... [PCH NAME] [DEPENDS LIBS...]): a static library
# over MLIR, with the precompiled header `core` or that of NAME.
function(tessera_add_library name)
  cmake_parse_arguments(ARG "" "PCH" "DEPENDS" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH core)
  endif()
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  add_dependencies(${name} tessera-headers)
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} tessera_mlir)
  tessera_use_pch(${name} ${ARG_PCH})
endfunction()

# tessera_compile_tests(TARGET PCH): how GoogleTest's programs are compiled, with
# the precompiled header PCH.
function(tessera_compile_tests target pch)
  target_compile_options(${target} PRIVATE -fPIC -fno-exceptions)
  if(pch STREQUAL "plain_test")
    target_compile_options(${target} PRIVATE ${tessera_plain_test_options})
  endif()
  tessera_use_pch(${target} ${pch})
endfunction()

# tessera_add_plain_library(NAME SOURCES... [DEPENDS LIBS...]): C++17 without
# MLIR, always optimised (solvers, the runtime).
function(tessera_add_plain_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE -O2 -fno-exceptions -Wall -Wextra
    -Wno-unused-parameter)
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} Threads::Threads)
  tessera_use_pch(${name} plain)
endfunction()

# tessera_add_tool(NAME SOURCE [DEPENDS LIBS...]): an executable whose main
# calls into a library.
function(tessera_add_tool name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
endfunction()
