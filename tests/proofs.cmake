# Other implementations of OpenCL, on tiny shapes, and compilers for hardware that need not be there. What is not installed is not tested,
# and is said when configuring; with CLMAML_REQUIRE_PROOFS it is an error, so that a run with it cannot be green without them.
option(CLMAML_REQUIRE_PROOFS "Fail when an OpenCL implementation or compiler that a test needs is absent" OFF)

# clmaml_proof(variable what packages..): the variable says whether it was found
function(clmaml_proof found what)
  if(${found})
    return()
  endif()
  list(JOIN ARGN " " packages)
  if(CLMAML_REQUIRE_PROOFS)
    message(FATAL_ERROR "CLMAML_REQUIRE_PROOFS is on, but there is no ${what} (Debian: apt-get install ${packages})")
  endif()
  message(WARNING "NOT TESTED: there is no ${what} (Debian: apt-get install ${packages})")
endfunction()

set(no_libraries CLMAML_NO_CLBLAST=1 CLMAML_NO_CLFFT=1) # our kernels are to be tested here
set(support ${CMAKE_CURRENT_SOURCE_DIR}/support)
set(tiny_references ${CMAKE_CURRENT_SOURCE_DIR}/golden/image_layers_2step.safetensors
  ${CMAKE_CURRENT_SOURCE_DIR}/golden/token_layers_2step.safetensors)

# Oclgrind simulates a device and looks for races, uninitialised values and misuse of the API; as itself, and as a GPU, which gets
# other kernels and groups of more than one item.
find_program(OCLGRIND oclgrind)
clmaml_proof(OCLGRIND "Oclgrind" oclgrind)
if(OCLGRIND)
  # The short convolutions, which are not the default on shapes as small as those of the operations' rows.
  clmaml_test(oclgrind/winograd oclgrind 900 ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_DEVICE= ${no_libraries}
    COMMAND sh ${support}/oclgrind.sh ${OCLGRIND} ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-winograd.log $<TARGET_FILE:unit_test_winograd>)
  # Products by tiles in local memory, which no device takes unmeasured.
  clmaml_test(oclgrind/tiled oclgrind 900 ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_DEVICE= ${no_libraries}
    COMMAND sh ${support}/oclgrind.sh ${OCLGRIND} ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-tiled.log $<TARGET_FILE:ops_test_tiled>)
  foreach(type cpu gpu)
    set(case "")
    if(type STREQUAL gpu)
      set(case CK_RUN_CASE=device) # some kernels are for CPUs alone, and all are counted in the other run
    endif()
    set(oclgrind sh ${support}/oclgrind.sh ${OCLGRIND} ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-${type})
    foreach(shard 0 1)
      clmaml_test(oclgrind/ops-${type}-${shard} oclgrind 1500
        ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_TEST_SHARD=${shard}/2 CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} ${case}
        COMMAND ${oclgrind}-ops-${shard}.log $<TARGET_FILE:ops_test_ops>)
    endforeach()
    clmaml_test(oclgrind/images-${type} oclgrind 900
      ENVIRONMENT CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} CK_RUN_CASE=pick
      COMMAND ${oclgrind}-images.log $<TARGET_FILE:program_test_dataset>)
    # Whole meta-gradients, launch by launch and as task kernels.
    clmaml_test(oclgrind/meta-${type} oclgrind 1500
      ENVIRONMENT CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} CLMAML_CHAIN=never
      COMMAND ${oclgrind}-meta.log $<TARGET_FILE:clmaml_program> verify ${CMAKE_CURRENT_SOURCE_DIR}/golden/image_layers_2step.safetensors)
    clmaml_test(oclgrind/task-kernel-${type} oclgrind 1500
      ENVIRONMENT CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} CLMAML_CHAIN=always
      COMMAND ${oclgrind}-task-kernel.log $<TARGET_FILE:clmaml_program> verify ${CMAKE_CURRENT_SOURCE_DIR}/golden/mlp_sine_1step.safetensors)
  endforeach()
endif()

# Mesa's OpenCL on the CPU, alone and beside PoCL.
find_file(RUSTICL_ICD rusticl.icd PATHS /etc/OpenCL/vendors /usr/share/OpenCL/vendors NO_DEFAULT_PATH)
find_file(POCL_ICD pocl.icd PATHS /etc/OpenCL/vendors /usr/share/OpenCL/vendors NO_DEFAULT_PATH)
clmaml_proof(RUSTICL_ICD "rusticl" mesa-opencl-icd)
clmaml_proof(POCL_ICD "PoCL" pocl-opencl-icd)
mark_as_advanced(RUSTICL_ICD POCL_ICD)
if(RUSTICL_ICD)
  set(rusticl CLMAML_DEVICE= ${no_libraries} RUSTICL_ENABLE=llvmpipe)
  clmaml_test(rusticl/ops rusticl 1500 ENVIRONMENT ${rusticl} CLMAML_TEST_TINY=1 OCL_ICD_VENDORS=${RUSTICL_ICD} COMMAND ops_test_ops)
  clmaml_test(rusticl/images rusticl 900 ENVIRONMENT ${rusticl} CK_RUN_CASE=pick OCL_ICD_VENDORS=${RUSTICL_ICD} COMMAND program_test_dataset)
  clmaml_test(rusticl/meta rusticl 900 ENVIRONMENT ${rusticl} OCL_ICD_VENDORS=${RUSTICL_ICD}
    COMMAND sh ${support}/rusticl.sh ${tiny_references})
  if(POCL_ICD)
    clmaml_test(rusticl/beside-pocl rusticl 900 ENVIRONMENT ${rusticl}
      COMMAND sh ${support}/rusticl_beside_pocl.sh ${RUSTICL_ICD} ${POCL_ICD} ${CMAKE_CURRENT_SOURCE_DIR}/golden/mlp_sine_1step.safetensors)
  endif()
endif()

include(offline/offline.cmake)
include(analyse.cmake)
