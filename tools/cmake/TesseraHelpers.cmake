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

# Two precompiled headers, built side by side: `core` for dialects and passes,
# `lowering` (with LLVM, NVVM, GPU, vector) for conversions and targets.
function(tessera_add_pch name header)
  file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/pch/${name}.cpp CONTENT "")
  add_library(tessera_pch_${name} STATIC ${PROJECT_BINARY_DIR}/pch/${name}.cpp)
  target_precompile_headers(tessera_pch_${name} PRIVATE ${header})
  target_compile_options(tessera_pch_${name} PRIVATE -fno-exceptions)
  target_link_libraries(tessera_pch_${name} PUBLIC tessera_mlir)
endfunction()
if(TESSERA_PCH)
  tessera_add_pch(core ${PROJECT_SOURCE_DIR}/tools/cmake/PCHCore.h)
  tessera_add_pch(lowering ${PROJECT_SOURCE_DIR}/tools/cmake/PCHLowering.h)
endif()

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

# tessera_add_library(NAME SOURCES... [PCH core|lowering|none] [DEPENDS LIBS...]):
# a static library over MLIR.
function(tessera_add_library name)
  cmake_parse_arguments(ARG "" "PCH" "DEPENDS" ${ARGN})
  if(NOT ARG_PCH)
    set(ARG_PCH core)
  endif()
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE -fno-exceptions)
  add_dependencies(${name} tessera-headers)
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} tessera_mlir)
  if(TESSERA_PCH AND NOT ARG_PCH STREQUAL "none")
    target_precompile_headers(${name} REUSE_FROM tessera_pch_${ARG_PCH})
  endif()
endfunction()

# tessera_add_plain_library(NAME SOURCES... [DEPENDS LIBS...]): C++17 without
# MLIR, always optimised (solvers, the runtime).
function(tessera_add_plain_library name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_library(${name} STATIC ${ARG_UNPARSED_ARGUMENTS})
  target_compile_options(${name} PRIVATE -O2 -fno-exceptions -Wall -Wextra
    -Wno-unused-parameter)
  target_link_libraries(${name} PUBLIC ${ARG_DEPENDS} Threads::Threads)
endfunction()

# tessera_add_tool(NAME SOURCE [DEPENDS LIBS...]): an executable whose main
# calls into a library.
function(tessera_add_tool name)
  cmake_parse_arguments(ARG "" "" "DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_UNPARSED_ARGUMENTS})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS})
endfunction()
