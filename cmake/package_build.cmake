# Script of CPack, before anything is packed: builds what the packages hold, which after a build of the program alone is not all there.
set(config "")
if(CPACK_BUILD_CONFIG)
  set(config --config ${CPACK_BUILD_CONFIG})
endif()
execute_process(COMMAND ${CMAKE_COMMAND} --build ${CPACK_CLMAML_BUILD} ${config} --target ${CPACK_CLMAML_TARGETS}
  RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(NOT result STREQUAL "0")
  message(FATAL_ERROR "what the packages hold does not build (${result}); try: cmake --build ${CPACK_CLMAML_BUILD}\n${output}")
endif()
