# Embeds kernels/*.cl in the library as byte arrays, by CMake alone.
#   clmaml_embed_kernels(OUT_VAR file...)  -> a generated C file that defines clm_embedded_kernels (src/device/opencl/embedded.h)
function(clmaml_embed_kernels out)
  set(target_file ${CMAKE_CURRENT_BINARY_DIR}/embedded_kernels.c)
  add_custom_command(OUTPUT ${target_file}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${target_file} "-DKERNELS=$<JOIN:${ARGN},|>" -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARGN} ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding kernels" VERBATIM)
  set(${out} ${target_file} PARENT_SCOPE)
endfunction()
