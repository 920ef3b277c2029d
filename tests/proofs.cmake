# Other implementations of OpenCL, on tiny shapes, and compilers for hardware that need not be there. What is not installed is not tested,
# and is said when configuring; with CLMAML_REQUIRE_PROOFS it is an error, so that a run with it cannot be green without them.
option(CLMAML_REQUIRE_PROOFS "Fail when an OpenCL implementation, a compiler or a tool that a test needs is absent" OFF)

# clmaml_proof(variable what packages..): the variable says whether it was found
function(clmaml_proof found what)
  if(${found})
    return()
  endif()
  list(JOIN ARGN " " packages)
  set(remedy "")
  if(packages)
    set(remedy " (Debian: apt-get install ${packages})")
  endif()
  if(CLMAML_REQUIRE_PROOFS)
    message(FATAL_ERROR "CLMAML_REQUIRE_PROOFS is on, but there is no ${what}${remedy}")
  endif()
  message(WARNING "NOT TESTED: there is no ${what}${remedy}")
endfunction()

set(no_libraries CLMAML_NO_CLBLAST=1 CLMAML_NO_CLFFT=1) # our kernels are to be tested here
set(support ${CMAKE_CURRENT_SOURCE_DIR}/support)
set(tiny_references ${CMAKE_CURRENT_SOURCE_DIR}/golden/image_layers_2step.safetensors
  ${CMAKE_CURRENT_SOURCE_DIR}/golden/token_layers_2step.safetensors)

# clmaml_references(prefix label [ENVIRONMENT VAR=value..] [WITHOUT name..]): the reference files of this folder, one a test; in turn
# (turns/) where another driver than the one at hand runs them. WITHOUT: those whose kernels take that driver's compiler too long.
function(clmaml_references prefix label)
  cmake_parse_arguments(PARSE_ARGV 2 references "" "" "ENVIRONMENT;WITHOUT")
  set(in_turn "")
  if("${references_ENVIRONMENT}" MATCHES "OCL_ICD_VENDORS=")
    set(in_turn IN_TURN)
  endif()
  foreach(file ${reference_files})
    get_filename_component(name ${file} NAME_WE)
    if(name IN_LIST references_WITHOUT)
      continue()
    endif()
    set(tolerance 2e-5)
    if(DEFINED tolerance_${name})
      set(tolerance ${tolerance_${name}})
    endif()
    clmaml_test(${prefix}-${name} ${label} 900 ${in_turn} ENVIRONMENT ${references_ENVIRONMENT}
      COMMAND clmaml_program verify --tolerance ${tolerance} ${file})
  endforeach()
endfunction()
set(long_compiles conv4_c8_5step conv4_c8_anil conv4_c8_lslr_msl conv4_c8_metasgd)

# Oclgrind simulates a device and looks for races, uninitialised values and misuse of the API; as itself, and as a GPU, which gets
# other kernels and groups of more than one item. All of it is in turn (turns/).
find_program(OCLGRIND oclgrind)
clmaml_proof(OCLGRIND "Oclgrind" oclgrind)
if(OCLGRIND)
  # The short convolutions, which are not the default on shapes as small as those of the operations' rows.
  clmaml_test(oclgrind/winograd oclgrind 900 IN_TURN ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_DEVICE= ${no_libraries}
    COMMAND sh ${support}/oclgrind.sh ${OCLGRIND} ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-winograd.log $<TARGET_FILE:unit_test_winograd>)
  # Products by tiles in local memory, which CPUs do not take unmeasured.
  clmaml_test(oclgrind/tiled oclgrind 900 IN_TURN ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_DEVICE= ${no_libraries}
    COMMAND sh ${support}/oclgrind.sh ${OCLGRIND} ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-tiled.log $<TARGET_FILE:ops_test_tiled>)
  foreach(type cpu gpu)
    set(case "")
    if(type STREQUAL gpu)
      set(case CK_RUN_CASE=device) # some kernels are for CPUs alone, and all are counted in the other run
    endif()
    set(oclgrind sh ${support}/oclgrind.sh ${OCLGRIND} ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-${type})
    foreach(shard 0 1)
      clmaml_test(oclgrind/ops-${type}-${shard} oclgrind 1500 IN_TURN
        ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_TEST_SHARD=${shard}/2 CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} ${case}
        COMMAND ${oclgrind}-ops-${shard}.log $<TARGET_FILE:ops_test_ops>)
    endforeach()
    clmaml_test(oclgrind/images-${type} oclgrind 900 IN_TURN
      ENVIRONMENT CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} CK_RUN_CASE=pick
      COMMAND ${oclgrind}-images.log $<TARGET_FILE:program_test_dataset>)
    clmaml_test(oclgrind/policy-${type} oclgrind 1500 IN_TURN
      ENVIRONMENT CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} CK_RUN_CASE=sampling CK_DEFAULT_TIMEOUT=600
      COMMAND ${oclgrind}-policy.log $<TARGET_FILE:policy_test_sampling>)
    # Whole meta-gradients, launch by launch and as task kernels.
    clmaml_test(oclgrind/meta-${type} oclgrind 1500 IN_TURN
      ENVIRONMENT CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=${type} CLMAML_CHAIN=never
      COMMAND ${oclgrind}-meta.log $<TARGET_FILE:clmaml_program> verify ${CMAKE_CURRENT_SOURCE_DIR}/golden/image_layers_2step.safetensors)
    clmaml_test(oclgrind/task-kernel-${type} oclgrind 1500 IN_TURN
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
  clmaml_test(rusticl/policy rusticl 900 ENVIRONMENT ${rusticl} OCL_ICD_VENDORS=${RUSTICL_ICD} COMMAND policy_test_sampling)
  clmaml_test(rusticl/meta rusticl 900 ENVIRONMENT ${rusticl} OCL_ICD_VENDORS=${RUSTICL_ICD}
    COMMAND sh ${support}/rusticl.sh ${tiny_references})
  clmaml_test(rusticl/queue rusticl 300 ENVIRONMENT ${rusticl} OCL_ICD_VENDORS=${RUSTICL_ICD} COMMAND devices_test_queue)
  clmaml_references(rusticl/golden rusticl ENVIRONMENT ${rusticl} OCL_ICD_VENDORS=${RUSTICL_ICD} WITHOUT ${long_compiles})
  if(POCL_ICD)
    clmaml_test(rusticl/beside-pocl rusticl 900 ENVIRONMENT ${rusticl}
      COMMAND sh ${support}/rusticl_beside_pocl.sh ${RUSTICL_ICD} ${POCL_ICD} ${CMAKE_CURRENT_SOURCE_DIR}/golden/mlp_sine_1step.safetensors)
  endif()
endif()

# The kernels of GPUs, on the device at hand.
clmaml_references(gpu/golden limits ENVIRONMENT CLMAML_EMULATE=type=gpu ${no_libraries} WITHOUT ${long_compiles})

# Intel's OpenCL for CPUs, which scripts/install-deps.sh puts into the build folder; it is registered nowhere.
set(intel_opencl ${PROJECT_BINARY_DIR}/intel-opencl)
find_file(INTEL_ICD intel.icd PATHS ${intel_opencl} NO_DEFAULT_PATH)
mark_as_advanced(INTEL_ICD)
clmaml_proof(INTEL_ICD "Intel OpenCL runtime in ${intel_opencl} (scripts/install-deps.sh --tests ${PROJECT_BINARY_DIR})")
if(INTEL_ICD)
  set(intel CLMAML_DEVICE= ${no_libraries} OCL_ICD_VENDORS=${intel_opencl}/intel.icd "LD_LIBRARY_PATH=${intel_opencl}:$ENV{LD_LIBRARY_PATH}")
  # Minutes, of which its compiler takes most: of label long too, which .ci/run leaves out; it has the quick one.
  clmaml_test(intel-cpu/doctor "intel-cpu;long" 1500 ENVIRONMENT ${intel} COMMAND clmaml_program doctor)
  clmaml_test(intel-cpu/doctor-quick intel-cpu 900 ENVIRONMENT ${intel} COMMAND clmaml_program doctor --quick)
  clmaml_test(intel-cpu/starts intel-cpu 900 ENVIRONMENT ${intel}
    COMMAND sh ${support}/second_start.sh "Intel.R. OpenCL" ${CMAKE_CURRENT_SOURCE_DIR}/golden/huber_sine.safetensors)
  clmaml_test(intel-cpu/queue intel-cpu 300 ENVIRONMENT ${intel} COMMAND devices_test_queue)
  clmaml_test(intel-cpu/gpu intel-cpu 900 ENVIRONMENT ${intel} CLMAML_EMULATE=type=gpu
    COMMAND clmaml_program verify ${CMAKE_CURRENT_SOURCE_DIR}/golden/mlp_sine_1step.safetensors ${tiny_references})
  clmaml_references(intel-cpu/golden intel-cpu ENVIRONMENT ${intel} WITHOUT ${long_compiles} recurrent_layers_2step)
  if(CLMAML_HAVE_MPI AND POCL_ICD)
    clmaml_test(mpi/mixed "mpi;intel-cpu" 900 ENVIRONMENT ${intel} CLMAML_MPIRUN=${MPIEXEC_EXECUTABLE}
      COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/mpi/mixed.sh ${intel_opencl}/intel.icd ${POCL_ICD})
  endif()
endif()

include(offline/offline.cmake)
include(analyse.cmake)
