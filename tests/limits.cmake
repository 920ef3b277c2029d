# Limits that the device at hand has not got, each emulated, with reference files under each. The pattern is what `clmaml devices` has to
# say then: a limit that is not in effect fails.

# clmaml_limit(name pattern FILES file.. ENVIRONMENT VAR=value..)
function(clmaml_limit name pattern)
  cmake_parse_arguments(PARSE_ARGV 2 limit "" "" "FILES;ENVIRONMENT")
  list(TRANSFORM limit_FILES PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/golden/)
  list(TRANSFORM limit_FILES APPEND .safetensors)
  clmaml_test(limits/${name} limits 900 ENVIRONMENT ${limit_ENVIRONMENT}
    COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/support/limited.sh ${pattern} ${limit_FILES})
endfunction()

set(small mlp_sine_1step token_layers_2step)
set(files ${small} conv4_c8_1step)

clmaml_limit(work-group-1 "\"max_work_group_size\": 1," FILES ${files} ENVIRONMENT "CLMAML_EMULATE=max_work_group=1")
clmaml_limit(local-memory-32k "\"local_memory\": 32768," FILES ${files} ENVIRONMENT "CLMAML_EMULATE=local_memory=32K")
clmaml_limit(allocation-256m "\"max_allocation\": 268435456," FILES ${files} ENVIRONMENT "CLMAML_EMULATE=max_allocation=256M")
clmaml_limit(allocation-64k "\"max_allocation\": 65536," FILES ${small} ENVIRONMENT "CLMAML_EMULATE=max_allocation=64K")
clmaml_limit(allocation-256k "\"max_allocation\": 262144," FILES ${files} ENVIRONMENT "CLMAML_EMULATE=max_allocation=256K")
clmaml_limit(no-fp64 "\"fp64\": false" FILES ${files} ENVIRONMENT "CLMAML_EMULATE=fp64=0")
clmaml_limit(no-fp16 "\"fp16\": false" FILES ${files} ENVIRONMENT "CLMAML_EMULATE=fp16=0")
clmaml_limit(no-images "emulated" FILES ${files} ENVIRONMENT "CLMAML_EMULATE=images=0")
clmaml_limit(base-alignment-2048 "base alignment 2048 bits" FILES ${files} ENVIRONMENT "CLMAML_EMULATE=base_align=2048")
clmaml_limit(address-32 "\"global_memory\": [0-9]{9,10}," FILES ${files} ENVIRONMENT "CLMAML_EMULATE=address_bits=32")
clmaml_limit(not-unified "\"unified_memory\": false" FILES ${files} ENVIRONMENT "CLMAML_EMULATE=unified=0")

# The ways that other kinds of devices go: one lane an item, groups, small vectors; all limits at once.
clmaml_limit(gpu "\"type\": \"gpu\"" FILES ${small} ENVIRONMENT "CLMAML_EMULATE=type=gpu,vector_width=1")
# Products by tiles and sums by work-groups, as GPUs with local memory get them.
clmaml_limit(gpu-local "\"type\": \"gpu\"" FILES conv4_c8_1step ENVIRONMENT "CLMAML_EMULATE=type=gpu,dedicated_local=1,vector_width=1")
clmaml_limit(gpu-work-group-1 "\"type\": \"gpu\"" FILES mlp_sine_1step ENVIRONMENT "CLMAML_EMULATE=type=gpu,max_work_group=1,vector_width=4")
clmaml_limit(gpu-small "\"type\": \"gpu\"" FILES mlp_sine_1step ENVIRONMENT
  "CLMAML_EMULATE=type=gpu,dedicated_local=1,max_work_group=32,local_memory=32K,max_allocation=64K,memory=512M,fp64=0,fp16=0,images=0,base_align=2048,address_bits=32,unified=0")
# Every launch that takes longer than a hundredth of a millisecond in pieces.
clmaml_limit(short-launches "emulated" FILES mlp_sine_1step ENVIRONMENT CLMAML_EMULATE=images=0 CLMAML_MAX_LAUNCH_MS=0.01)

# What PoCL itself can take away. Other implementations do not know these variables.
if(EXISTS /etc/OpenCL/vendors/pocl.icd)
  clmaml_limit(pocl-memory "\"global_memory\": 1073741824," FILES ${files} ENVIRONMENT
    OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd POCL_MEMORY_LIMIT=1)
  clmaml_limit(pocl-work-group "\"max_work_group_size\": 8," FILES ${small} ENVIRONMENT
    OCL_ICD_VENDORS=/etc/OpenCL/vendors/pocl.icd POCL_MAX_WORK_GROUP_SIZE=8)
endif()

# Oclgrind as a small device, with its checks, on the operations whose kernels are written by hand.
if(OCLGRIND AND NOT CLMAML_SANITIZE)
  foreach(row matmul max_pool)
    clmaml_test(limits/oclgrind-${row} limits 900
      ENVIRONMENT CLMAML_TEST_TINY=1 CLMAML_TEST_ROW=${row} CK_RUN_CASE=device CLMAML_DEVICE= ${no_libraries} CLMAML_EMULATE=type=gpu
              "CHECKS=--data-races --uniform-writes --uninitialized --check-api --max-wgsize 4 --local-mem-size 32768 --global-mem-size 268435456"
      COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/support/oclgrind.sh ${OCLGRIND}
              ${CMAKE_CURRENT_BINARY_DIR}/oclgrind-${row}.log $<TARGET_FILE:ops_test_ops>)
  endforeach()
endif()
