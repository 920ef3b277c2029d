# Long tests begin first, so that no core is without work while another ends one: seconds that each took once, on two cores with other
# work beside them. Nothing but their order counts.
set(costs
  intel-cpu/doctor 152  inject/faults 140  inject/opencl 82  offline/compile-3 80  offline/compile-2 80
  offline/compile-1 80  offline/compile-0 80  oclgrind/ops-cpu-0 60  cli/report 60  oclgrind/ops-gpu-0 51
  cli/bench 51  cli/builders 32  oclgrind/ops-cpu-1 48  meta/split 46  oclgrind/ops-gpu-1 44  ops/choices 43  unit/winograd 37
  python/same_logits 35  ops/tiled 35  oclgrind/tiled 33  cli/doctor 30  unit/libraries 26  fault/drivers 25
  kill/sick 23  cli/model 22  oclgrind/task-kernel-gpu 22  meta/parts 21  unit/conv 21  oclgrind/winograd 19
  meta/shares 17  rusticl/ops 17  fault/selftest 17  devices/retry 17  meta/plans 15  meta/sub_devices 15
  program/task_kernel 15  oclgrind/task-kernel-cpu 15)
while(costs)
  list(POP_FRONT costs name seconds)
  if(TEST ${name})
    set_tests_properties(${name} PROPERTIES COST ${seconds})
  endif()
endwhile()
