# Long tests begin first, so that no core is without work while another ends one: seconds that each took of processors
# (scripts/test-costs.py), kernels of PoCL in its cache; of offline a quarter, of which nothing was in a cache. Nothing but their order
# counts.
set(costs
  intel-cpu/doctor 152  unit/libraries 70  offline/compile-0 67  offline/compile-2 63  offline/compile-3 62  offline/compile-1 56
  oclgrind/ops-cpu-0 60  oclgrind/ops-gpu-0 51  oclgrind/ops-cpu-1 48  oclgrind/ops-gpu-1 44  cli/report 45  unit/large_products 45
  ops/choices 43  cli/bench 38  unit/winograd 37  python/same_logits 35  ops/tiled 35  oclgrind/tiled 33  cli/options-0 32
  cli/doctor 30  inject/opencl 28  cli/builders 27  offline/write 26  cli/options-3 23  cli/model 22  oclgrind/task-kernel-gpu 22
  cli/tune 40  package/clean-root 40  cli/options-1 21  meta/parts 21  unit/conv 21  inject/faults 20  cli/algorithms 19  oclgrind/winograd 19  kill/sick 18
  meta/shares-opencl 15  rusticl/ops 17  devices/retry 17  cli/several 15  meta/choice 15  meta/plans 15  meta/sub_devices 15
  program/task_kernel 15  oclgrind/task-kernel-cpu 15  fault/selftest 13  fault/drivers 10  cli/options-2 8  offline/model 8
  python/wheel 50  oclgrind/policy-gpu 35  meta/family 30  oclgrind/meta-gpu 22  oclgrind/policy-cpu 18  mpi/train 18  python/results 18
  meta/train 15  meta/ranks 14  meta/memory 12  meta/gradient 10  meta/zoo 10  meta/uneven 9  meta/update 9)
if(CLMAML_SANITIZE) # with the address sanitizer
  list(APPEND costs cli/options-0 150  cli/options-3 108  cli/options-1 104  cli/options-2 60  cli/algorithms 65  unit/winograd 49
    cli/uneven 44  meta/family 43  meta/shares-opencl 43  unit/large_products 28  unit/libraries 27  meta/memory 24)
endif()
while(costs)
  list(POP_FRONT costs name seconds)
  if(TEST ${name})
    set_tests_properties(${name} PROPERTIES COST ${seconds})
  endif()
endwhile()

# Tests whose time is that of the compiler inside the driver, which no sanitizer looks into: with sanitizers they are in turn (turns/).
# What they have to do with threads is also in meta/threads, meta/shares-host and meta/train, which always run.
get_property(in_turn GLOBAL PROPERTY clmaml_in_turn)
# In the ordinary build: implementations beside the one that is chosen, of operations that ops/ops-* has whole; commands that cli/commands
# runs too; options by the hundred.
if(NOT CLMAML_SANITIZE)
  foreach(name ops/choices ops/tiled unit/libraries unit/winograd unit/large_products unit/conv cli/tune cli/bench cli/options-0 cli/options-1
      cli/options-2 cli/options-3 cli/algorithms cli/model cli/builders cli/uneven fault/selftest fault/drivers mpi/sweep mpi/mixed python/results
      package/clean-root meta/shares-opencl meta/plans)
    if(TEST ${name})
      list(APPEND in_turn ${name})
    endif()
  endforeach()
endif()
if(CLMAML_SANITIZE)
  list(APPEND in_turn meta/plans meta/shares-opencl meta/sub_devices unit/conv unit/large_products unit/libraries unit/winograd)
endif()
# So are the costliest of label meta with the address sanitizer; the one for threads has few of them.
if(CLMAML_SANITIZE MATCHES "address")
  list(APPEND in_turn meta/family meta/gradient meta/memory meta/parts meta/ranks meta/train meta/uneven meta/update meta/zoo)
endif()
# With the thread sanitizer the reading of pictures and drawings is also in unit/photos and unit/folders.
if(CLMAML_SANITIZE MATCHES "thread")
  list(APPEND in_turn unit/omniglot)
endif()
# The costliest first: dealt out one by one, the parts take about as long.
set(tests_in_turn "")
foreach(name ${in_turn})
  get_property(cost TEST ${name} PROPERTY COST)
  list(APPEND tests_in_turn "${cost} ${name}")
endforeach()
list(SORT tests_in_turn COMPARE NATURAL ORDER DESCENDING)
list(TRANSFORM tests_in_turn REPLACE "^.* " "")
