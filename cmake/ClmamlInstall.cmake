# Installation: program, library, headers, the package clMAML for find_package (target clMAML::clmaml), clmaml.pc, documents, examples.
# The installed tree can be moved: nothing in it names the prefix. Three components, which are the packages of ClmamlPackage.cmake:
# program; library, what a program linked with the shared library needs to run; development, all that is needed to write one.
include(CMakePackageConfigHelpers)
file(RELATIVE_PATH clmaml_bin_to_lib ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_LIBDIR})
file(RELATIVE_PATH clmaml_pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
if(APPLE)
  set(clmaml_origin @loader_path)
else()
  set(clmaml_origin "$ORIGIN")
endif()
set_target_properties(clmaml_program PROPERTIES INSTALL_RPATH "${clmaml_origin}/${clmaml_bin_to_lib}")

install(TARGETS clmaml EXPORT clMAMLTargets
  RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT library
  LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT library NAMELINK_COMPONENT development
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(TARGETS clmaml_program RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT program)
install(DIRECTORY include/clmaml DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development FILES_MATCHING PATTERN "*.h")
include(ClmamlInstallDocuments)
# The library inside the Python package, in wheels alone (pyproject.toml): one file, as they hold no links.
install(PROGRAMS $<TARGET_FILE:clmaml> DESTINATION clmaml RENAME libclmaml${CMAKE_SHARED_LIBRARY_SUFFIX}
  COMPONENT python EXCLUDE_FROM_ALL)

# ---- find_package ----
install(EXPORT clMAMLTargets NAMESPACE clMAML:: DESTINATION ${CLMAML_PACKAGE_DIR} COMPONENT development)
if(CLMAML_HAVE_MPI)
  install(TARGETS clmaml_mpi EXPORT clMAMLMpiTargets LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT mpi)
  install(EXPORT clMAMLMpiTargets NAMESPACE clMAML:: DESTINATION ${CLMAML_PACKAGE_DIR} COMPONENT mpi)
endif()
configure_package_config_file(cmake/clMAMLConfig.cmake.in ${PROJECT_BINARY_DIR}/clMAMLConfig.cmake
  INSTALL_DESTINATION ${CLMAML_PACKAGE_DIR} NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/clMAMLConfigVersion.cmake
  VERSION ${PROJECT_VERSION} COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/clMAMLConfig.cmake ${PROJECT_BINARY_DIR}/clMAMLConfigVersion.cmake
  DESTINATION ${CLMAML_PACKAGE_DIR} COMPONENT development)

# ---- pkg-config ----
# A static library does not carry what it needs: everyone who links with it does. A shared one does, and the headers include none of it.
set(clmaml_pc_requires "")
set(clmaml_pc_libs "")
if(NOT BUILD_SHARED_LIBS)
  set(clmaml_pc_requires "Requires: OpenCL jansson libzip libpng${clmaml_pc_pictures}\n")
  set(clmaml_pc_libs " ${clmaml_pc_picture_libs}-lm -pthread ${clmaml_pc_dl}")
endif()
configure_file(cmake/clmaml.pc.in ${PROJECT_BINARY_DIR}/clmaml.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/clmaml.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT development)

# ---- the test: install, move the tree, look at the links of its documents, build its examples in both ways, run one of each ----
if(CLMAML_BUILD_TESTS)
  set(clmaml_sanitize_flag "")
  if(CLMAML_SANITIZE)
    set(clmaml_sanitize_flag -fsanitize=${CLMAML_SANITIZE})
  endif()
  set(clmaml_install_environment CLMAML_CACHE_DIR=${PROJECT_BINARY_DIR}/install-test-cache ${CLMAML_SANITIZER_ENVIRONMENT})
  add_test(NAME install COMMAND ${CMAKE_COMMAND}
    -DBUILD_DIR=${PROJECT_BINARY_DIR} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DCONFIG=$<CONFIG> -DLIBDIR=${CMAKE_INSTALL_LIBDIR}
    -DINCLUDEDIR=${CMAKE_INSTALL_INCLUDEDIR} -DBINDIR=${CMAKE_INSTALL_BINDIR} -DDOCDIR=${CMAKE_INSTALL_DOCDIR} -DGENERATOR=${CMAKE_GENERATOR}
    -DCC=${CMAKE_C_COMPILER} -DFLAGS=${clmaml_sanitize_flag} -DPKG_CONFIG=${PKG_CONFIG_EXECUTABLE} -DVERSION=${PROJECT_VERSION}
    -P ${PROJECT_SOURCE_DIR}/cmake/test_install.cmake)
  set_tests_properties(install PROPERTIES LABELS install TIMEOUT 900
    ENVIRONMENT "${clmaml_install_environment}")
endif()
