# Script of the test `install`: installs into a folder of the build tree, moves it, and uses it as a stranger would: the program,
# its examples by find_package and by pkg-config. Expects the variables that ClmamlInstall.cmake passes.
set(work ${BUILD_DIR}/install-test)
set(tree ${work}/moved)

function(run what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT result STREQUAL "0")
    string(REPLACE ";" " " command "${ARGN}")
    message(FATAL_ERROR "${what} failed (${result}): ${command}\n${output}")
  endif()
  message(STATUS "${what}: done")
  set(run_output "${output}" PARENT_SCOPE)
endfunction()

function(expect path)
  if(NOT EXISTS ${tree}/${path})
    message(FATAL_ERROR "${path} was not installed")
  endif()
endfunction()

file(REMOVE_RECURSE ${work})
file(MAKE_DIRECTORY ${work})
run("install" ${CMAKE_COMMAND} --install ${BUILD_DIR} --config "${CONFIG}" --prefix ${work}/first)
file(RENAME ${work}/first ${tree})

# Exactly the public headers: no more, no fewer.
file(GLOB public_headers RELATIVE ${SOURCE_DIR}/include/clmaml ${SOURCE_DIR}/include/clmaml/*.h)
file(GLOB_RECURSE installed_headers RELATIVE ${tree}/${INCLUDEDIR}/clmaml ${tree}/${INCLUDEDIR}/*)
if(NOT public_headers STREQUAL installed_headers)
  message(FATAL_ERROR "installed headers: ${installed_headers}\npublic headers: ${public_headers}")
endif()
expect(${LIBDIR}/cmake/clMAML/clMAMLConfig.cmake)
expect(${LIBDIR}/pkgconfig/clmaml.pc)
expect(${DOCDIR}/LICENSE)
find_program(SH sh REQUIRED)
run("links of the documents" ${SH} ${SOURCE_DIR}/tests/package/links.sh ${tree}/${DOCDIR})

run("installed program" ${tree}/${BINDIR}/clmaml --version)
if(NOT run_output MATCHES "${VERSION}")
  message(FATAL_ERROR "the installed program says ${run_output} rather than ${VERSION}")
endif()

# ---- find_package: the examples as they were installed ----
set(examples_dir ${tree}/${DOCDIR}/examples)
run("configure examples" ${CMAKE_COMMAND} -S ${examples_dir} -B ${work}/by-cmake -G "${GENERATOR}"
  -DCMAKE_PREFIX_PATH=${tree} -DCMAKE_BUILD_TYPE=Release -DCMAKE_C_COMPILER=${CC} -DCMAKE_C_FLAGS=${FLAGS})
run("build examples" ${CMAKE_COMMAND} --build ${work}/by-cmake)
run("example by find_package" ${work}/by-cmake/hvp)

# ---- pkg-config ----
set(ENV{PKG_CONFIG_PATH} ${tree}/${LIBDIR}/pkgconfig)
run("pkg-config --modversion" ${PKG_CONFIG} --modversion clmaml)
if(NOT run_output MATCHES "${VERSION}")
  message(FATAL_ERROR "clmaml.pc says version ${run_output} rather than ${VERSION}")
endif()
run("pkg-config" ${PKG_CONFIG} --cflags --libs clmaml)
string(STRIP "${run_output}" flags)
separate_arguments(flags UNIX_COMMAND "${flags}")
file(MAKE_DIRECTORY ${work}/by-pkg-config)
file(GLOB examples ${examples_dir}/*.c)
foreach(example ${examples})
  get_filename_component(name ${example} NAME_WE)
  run("compile ${name}" ${CC} -std=c11 ${FLAGS} ${example} ${flags} -lm -Wl,-rpath,${tree}/${LIBDIR} -o ${work}/by-pkg-config/${name})
endforeach()
run("example by pkg-config" ${work}/by-pkg-config/hvp)
