# Embeds files as byte arrays, by CMake alone:
#   clmaml_embed_kernels(OUT_VAR file...)  kernels/*.cl in the library  -> a generated C file that defines clm_embedded_kernels
#   clmaml_embed_database(OUT_VAR file...) src/tune/database.txt in the library -> the same for clm_embedded_databases
#   clmaml_embed_peers(OUT_VAR file...)    bench/peers/*.py in the program -> the same for bench_scripts
function(clmaml_embed out file header type table)
  set(target_file ${CMAKE_CURRENT_BINARY_DIR}/${file})
  add_custom_command(OUTPUT ${target_file}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${target_file} -DHEADER=${header} -DTYPE=${type} -DTABLE=${table} "-DFILES=$<JOIN:${ARGN},|>"
            -P ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake
    DEPENDS ${ARGN} ${CMAKE_CURRENT_SOURCE_DIR}/cmake/embed.cmake
    COMMENT "Embedding into ${file}" VERBATIM)
  set(${out} ${target_file} PARENT_SCOPE)
endfunction()

function(clmaml_embed_kernels out)
  clmaml_embed(made embedded_kernels.c device/opencl/embedded.h clm_embedded_kernel clm_embedded_kernels ${ARGN})
  set(${out} ${made} PARENT_SCOPE)
endfunction()

function(clmaml_embed_database out)
  clmaml_embed(made embedded_database.c tune/database.h clm_embedded_database clm_embedded_databases ${ARGN})
  set(${out} ${made} PARENT_SCOPE)
endfunction()

function(clmaml_embed_peers out)
  clmaml_embed(made embedded_peers.c bench/scripts.h bench_script bench_scripts ${ARGN})
  set(${out} ${made} PARENT_SCOPE)
endfunction()
