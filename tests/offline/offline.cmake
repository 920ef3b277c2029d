# Every kernel compiled for hardware that need not be there (targets.sh says which). Needed: clang and llvm-spirv of one version, libclc
# and spirv-val. Each of AMD's bitcode, a newer clang, Intel's compiler and ptxas adds targets; scripts/install-deps.sh --tests puts
# them into the build folder. A few targets and the kernels that are used unmeasured are compiled always; all of them, and the tuner's
# candidates, by
#   ctest --test-dir BUILD -C all -L offline-all
foreach(version 15 14 16 17 18 19)
  find_program(OFFLINE_CLANG_${version} clang-${version})
  find_program(OFFLINE_LLVM_SPIRV_${version} llvm-spirv-${version})
  if(OFFLINE_CLANG_${version} AND OFFLINE_LLVM_SPIRV_${version})
    set(offline_clang ${OFFLINE_CLANG_${version}})
    set(offline_llvm_spirv ${OFFLINE_LLVM_SPIRV_${version}})
    break()
  endif()
endforeach()
set(compilers ${PROJECT_BINARY_DIR}/compilers)
file(GLOB compiler_libs ${compilers}/usr/lib/*-linux-gnu)
file(GLOB compiler_clang ${compilers}/usr/lib/llvm-*/bin/clang)
find_program(OFFLINE_SPIRV_VAL spirv-val)
find_path(OFFLINE_LIBCLC amdgcn--amdhsa.bc PATHS /usr/lib/clc /usr/share/clc /usr/libexec/clc NO_DEFAULT_PATH)
find_program(OFFLINE_PTXAS ptxas HINTS /usr/local/cuda/bin ${compilers}/nvidia)
find_program(OFFLINE_OCLOC ocloc PATHS ${compilers}/usr/bin)
find_path(OFFLINE_ROCM ocml.bc PATHS ${compiler_libs}/amdgcn/bitcode /opt/rocm/amdgcn/bitcode NO_DEFAULT_PATH)
find_program(OFFLINE_NEW_CLANG NAMES clang-20 clang-19 clang PATHS ${compilers}/usr/bin NO_DEFAULT_PATH)
mark_as_advanced(OFFLINE_SPIRV_VAL OFFLINE_LIBCLC OFFLINE_PTXAS OFFLINE_OCLOC OFFLINE_ROCM OFFLINE_NEW_CLANG)

set(offline_found TRUE)
foreach(tool offline_clang offline_llvm_spirv OFFLINE_SPIRV_VAL OFFLINE_LIBCLC)
  if(NOT ${tool})
    set(offline_found FALSE)
  endif()
endforeach()
clmaml_proof(offline_found "clang with llvm-spirv of its version, libclc and spirv-val: kernels are not compiled for AMD, NVIDIA and SPIR-V"
  clang-15 llvm-spirv-15 libclc-15 spirv-tools)
set(offline_unpacked "(scripts/install-deps.sh --tests ${PROJECT_BINARY_DIR}): kernels are not compiled for")
clmaml_proof(OFFLINE_PTXAS "ptxas ${offline_unpacked} NVIDIA")
clmaml_proof(OFFLINE_OCLOC "ocloc ${offline_unpacked} Intel")
clmaml_proof(OFFLINE_ROCM "bitcode of ROCm ${offline_unpacked} most GPUs of AMD")
clmaml_proof(OFFLINE_NEW_CLANG "newer clang ${offline_unpacked} AMD's newer GPUs")

set(program_sources ${PROJECT_SOURCE_DIR}/src/cli)
set(program_messages ${program_sources}/base/characters.c ${program_sources}/base/common.c ${program_sources}/base/lines.c ${program_sources}/base/system.c)
add_executable(list_launches offline/list_launches.c offline/recorder.c ${program_sources}/bench/items.c ${program_messages})
target_include_directories(list_launches PRIVATE ${program_sources})
target_link_libraries(list_launches PRIVATE clmaml_warnings clmaml_test_support)
set_target_properties(list_launches PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/offline)
clmaml_test(offline/launches offline 300 ENVIRONMENT ${no_libraries}
  COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/offline/launches.sh $<TARGET_FILE:list_launches>)
# The estimate that docs/performance.md shows is today's, and meets its goals.
find_program(CLMAML_PYTHON3 python3)
mark_as_advanced(CLMAML_PYTHON3)
clmaml_proof(CLMAML_PYTHON3 python3 python3)
if(CLMAML_PYTHON3)
  clmaml_test(offline/model offline 300 ENVIRONMENT ${no_libraries} COMMAND ${CLMAML_PYTHON3} ${PROJECT_SOURCE_DIR}/bench/gpu_model.py
    --list $<TARGET_FILE:list_launches> --check ${PROJECT_SOURCE_DIR}/docs/performance.md)
endif()

# offline_tests(label folder mode shards seconds [CONFIGURATION name]): the texts are written, compiled in shards that cores share out, then looked at together.
function(offline_tests label folder mode shards seconds)
  set(kernels ${CMAKE_CURRENT_BINARY_DIR}/offline/${folder})
  set(offline sh ${CMAKE_CURRENT_SOURCE_DIR}/offline/offline.sh)
  set(tools CLANG=${offline_clang} LLVM_SPIRV=${offline_llvm_spirv} SPIRV_VAL=${OFFLINE_SPIRV_VAL} LIBCLC=${OFFLINE_LIBCLC}
    "COMPILER_LIBS=$<JOIN:${compiler_libs},:>")
  foreach(tool PTXAS OCLOC ROCM NEW_CLANG)
    list(APPEND tools "${tool}=$<$<BOOL:${OFFLINE_${tool}}>:${OFFLINE_${tool}}>")
  endforeach()
  clmaml_test(${label}/write ${label} 900 ${ARGN} ENVIRONMENT ${no_libraries} ${tools}
    COMMAND ${offline} ${mode} ${kernels} $<TARGET_FILE:write_kernels> ${reference_files})
  clmaml_test(${label}/report ${label} 300 ${ARGN} ENVIRONMENT ${tools} COMMAND ${offline} report ${kernels})
  math(EXPR last "${shards} - 1")
  foreach(shard RANGE ${last})
    clmaml_test(${label}/compile-${shard} ${label} ${seconds} ${ARGN} ENVIRONMENT ${tools}
      COMMAND ${offline} compile ${kernels} ${shard}/${shards})
    list(APPEND compile_tests ${label}/compile-${shard})
  endforeach()
  set_tests_properties(${label}/write PROPERTIES FIXTURES_SETUP ${label}_texts)
  set_tests_properties(${compile_tests} PROPERTIES FIXTURES_REQUIRED ${label}_texts FIXTURES_SETUP ${label}_results)
  set_tests_properties(${label}/report PROPERTIES FIXTURES_REQUIRED ${label}_results)
endfunction()

if(offline_found)
  add_executable(write_kernels offline/write_kernels.c offline/recorder.c ${program_sources}/verify/reference.c ${program_messages})
  target_include_directories(write_kernels PRIVATE ${program_sources})
  target_link_libraries(write_kernels PRIVATE clmaml_warnings clmaml_test_support)
  set_target_properties(write_kernels PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/offline)
  offline_tests(offline kernels write 4 1500)
  offline_tests(offline-all all write-all 8 7200 CONFIGURATION all)
endif()
