# Every kernel compiled for hardware that need not be there: AMD (two generations), NVIDIA, and SPIR-V, which is what Intel's
# drivers take. Needs clang and llvm-spirv of one version, libclc and spirv-val.
foreach(version 15 14 16 17 18 19)
  find_program(OFFLINE_CLANG_${version} clang-${version})
  find_program(OFFLINE_LLVM_SPIRV_${version} llvm-spirv-${version})
  if(OFFLINE_CLANG_${version} AND OFFLINE_LLVM_SPIRV_${version})
    set(offline_clang ${OFFLINE_CLANG_${version}})
    set(offline_llvm_spirv ${OFFLINE_LLVM_SPIRV_${version}})
    break()
  endif()
endforeach()
find_program(OFFLINE_SPIRV_VAL spirv-val)
find_path(OFFLINE_LIBCLC amdgcn--amdhsa.bc PATHS /usr/lib/clc /usr/share/clc /usr/libexec/clc NO_DEFAULT_PATH)
find_program(OFFLINE_PTXAS ptxas HINTS /usr/local/cuda/bin) # part of the CUDA toolkit; may be absent
mark_as_advanced(OFFLINE_SPIRV_VAL OFFLINE_LIBCLC OFFLINE_PTXAS)

set(offline_found TRUE)
foreach(tool offline_clang offline_llvm_spirv OFFLINE_SPIRV_VAL OFFLINE_LIBCLC)
  if(NOT ${tool})
    set(offline_found FALSE)
  endif()
endforeach()
clmaml_proof(offline_found "clang with llvm-spirv of its version, libclc and spirv-val: kernels are not compiled for AMD, NVIDIA and SPIR-V"
  clang-15 llvm-spirv-15 libclc-15 spirv-tools)

set(program_sources ${PROJECT_SOURCE_DIR}/src/cli)
add_executable(list_launches offline/list_launches.c offline/recorder.c ${program_sources}/bench/items.c ${program_sources}/base/common.c)
target_include_directories(list_launches PRIVATE ${program_sources})
target_link_libraries(list_launches PRIVATE clmaml_warnings clmaml_test_support)
set_target_properties(list_launches PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/offline)

if(offline_found)
  add_executable(write_kernels offline/write_kernels.c offline/recorder.c ${program_sources}/verify/reference.c ${program_sources}/base/common.c)
  target_include_directories(write_kernels PRIVATE ${program_sources})
  target_link_libraries(write_kernels PRIVATE clmaml_warnings clmaml_test_support)
  set_target_properties(write_kernels PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/offline)
  set(offline_kernels ${CMAKE_CURRENT_BINARY_DIR}/offline/kernels)
  set(offline sh ${CMAKE_CURRENT_SOURCE_DIR}/offline/offline.sh)
  set(offline_tools CLANG=${offline_clang} LLVM_SPIRV=${offline_llvm_spirv} SPIRV_VAL=${OFFLINE_SPIRV_VAL} LIBCLC=${OFFLINE_LIBCLC}
    "PTXAS=$<$<BOOL:${OFFLINE_PTXAS}>:${OFFLINE_PTXAS}>")
  # The texts are written, compiled in shards that cores share out, then looked at together.
  clmaml_test(offline/write offline 900 ENVIRONMENT ${no_libraries}
    COMMAND ${offline} write ${offline_kernels} $<TARGET_FILE:write_kernels> ${reference_files})
  clmaml_test(offline/report offline 300 ENVIRONMENT ${offline_tools} COMMAND ${offline} report ${offline_kernels})
  set(shards 4)
  math(EXPR last "${shards} - 1")
  foreach(shard RANGE ${last})
    clmaml_test(offline/compile-${shard} offline 1500 ENVIRONMENT ${offline_tools}
      COMMAND ${offline} compile ${offline_kernels} ${shard}/${shards})
    list(APPEND offline_shards offline/compile-${shard})
  endforeach()
  set_tests_properties(offline/write PROPERTIES FIXTURES_SETUP offline_texts)
  set_tests_properties(${offline_shards} PROPERTIES FIXTURES_REQUIRED offline_texts FIXTURES_SETUP offline_results)
  set_tests_properties(offline/report PROPERTIES FIXTURES_REQUIRED offline_results)
endif()
