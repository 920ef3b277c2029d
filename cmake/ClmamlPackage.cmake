# Packages by CPack, `cpack -G DEB` and `cpack -G TGZ` in the build folder; the target `uninstall`; the test of the package.
set(CPACK_PACKAGE_NAME clmaml)
set(CPACK_PACKAGE_VENDOR "the clMAML authors")
set(CPACK_PACKAGE_CONTACT "the clMAML authors <clmaml@localhost>") # a package needs one; -DCPACK_PACKAGE_CONTACT=.. is yours
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_VERBATIM_VARIABLES ON)
set(CPACK_GENERATOR TGZ)
find_program(CLMAML_DPKG_DEB dpkg-deb)
find_program(CLMAML_DPKG_SHLIBDEPS dpkg-shlibdeps)
mark_as_advanced(CLMAML_DPKG_DEB CLMAML_DPKG_SHLIBDEPS)
if(CLMAML_DPKG_DEB AND CLMAML_DPKG_SHLIBDEPS)
  list(APPEND CPACK_GENERATOR DEB)
endif()

# What the program links with is found by dpkg-shlibdeps; what it looks for when it runs is recommended.
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "libclblast1, libclfft2, pocl-opencl-icd | opencl-icd")
include(CPack)

# CMake's own list of what was installed is overwritten by packages and by the tests, which install below the build folder.
set(clmaml_installed ${PROJECT_BINARY_DIR}/installed.txt)
install(CODE "
  set(clmaml_where \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/\")
  string(FIND \"\${clmaml_where}\" \"${PROJECT_BINARY_DIR}/\" clmaml_below)
  if(NOT clmaml_below EQUAL 0 AND NOT clmaml_where MATCHES \"/_CPack_Packages/\")
    string(REPLACE \";\" \"\\n\" clmaml_files \"\${CMAKE_INSTALL_MANIFEST_FILES}\")
    file(WRITE \"${clmaml_installed}\" \"\${clmaml_files}\")
  endif()")
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -DMANIFEST=${clmaml_installed}
  -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake COMMENT "Removing what was installed last")

if(CLMAML_BUILD_TESTS)
  add_test(NAME package COMMAND ${CMAKE_COMMAND}
    -DBUILD_DIR=${PROJECT_BINARY_DIR} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DCONFIG=$<CONFIG> -DCPACK=${CMAKE_CPACK_COMMAND} -DVERSION=${PROJECT_VERSION}
    -DDPKG_DEB=${CLMAML_DPKG_DEB} -DDPKG_SHLIBDEPS=${CLMAML_DPKG_SHLIBDEPS} -DSHARED=${BUILD_SHARED_LIBS} -DPAGES=${CLMAML_HAVE_PAGES}
    -P ${PROJECT_SOURCE_DIR}/cmake/test_package.cmake)
  set_tests_properties(package PROPERTIES LABELS package TIMEOUT 900 SKIP_REGULAR_EXPRESSION "skipped: "
    RESOURCE_LOCK install # both fill install_manifest.txt
    ENVIRONMENT "${clmaml_install_environment}")
  set_tests_properties(install PROPERTIES RESOURCE_LOCK install)
endif()
