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

# The archive is one; Debian packages are three, by the components of ClmamlInstall.cmake. What a package links with is found by
# dpkg-shlibdeps; what the library looks for when it runs is recommended.
set(clmaml_library_package libclmaml${CLMAML_SOVERSION})
set(CPACK_COMPONENTS_ALL program development)
if(BUILD_SHARED_LIBS)
  list(APPEND CPACK_COMPONENTS_ALL library)
endif()
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${PROJECT_BINARY_DIR}) # the program's package says itself that it needs libclmaml
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/package_build.cmake)
set(CPACK_CLMAML_BUILD ${PROJECT_BINARY_DIR})
set(CPACK_CLMAML_TARGETS clmaml clmaml_program)
if(CLMAML_HAVE_PAGES)
  list(APPEND CPACK_CLMAML_TARGETS clmaml_pages)
endif()
set(CPACK_PRE_BUILD_SCRIPTS ${PROJECT_SOURCE_DIR}/cmake/package_documents.cmake)
set(clmaml_runtime_recommends "libclblast1, libclfft2, pocl-opencl-icd | opencl-icd")

# clmaml_package(COMPONENT package section text): the line above the text is the project's description
function(clmaml_package component package section text)
  set(CPACK_DEBIAN_${component}_PACKAGE_NAME ${package} PARENT_SCOPE)
  set(CPACK_DEBIAN_${component}_PACKAGE_SECTION ${section} PARENT_SCOPE)
  set(CPACK_DEBIAN_${component}_DESCRIPTION "${text}" PARENT_SCOPE)
endfunction()
clmaml_package(PROGRAM clmaml science
  "The program: trains, evaluates, adapts and exports models of MAML and its family;\nits manual pages, completion of bash, zsh and fish.")
clmaml_package(LIBRARY ${clmaml_library_package} libs "The shared library.")
clmaml_package(DEVELOPMENT libclmaml-dev libdevel "What a program that uses the library is written with: headers, files for CMake\nand pkg-config; and the documents and examples.")
if(BUILD_SHARED_LIBS)
  set(clmaml_same_version "${clmaml_library_package} (= ${PROJECT_VERSION})")
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_DEPENDS "${clmaml_same_version}")
  set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${clmaml_same_version}")
  set(CPACK_DEBIAN_LIBRARY_PACKAGE_RECOMMENDS "${clmaml_runtime_recommends}")
else() # whoever links with the archive links with all of these
  set(CPACK_DEBIAN_PROGRAM_PACKAGE_RECOMMENDS "${clmaml_runtime_recommends}")
  set(clmaml_dev_packages "ocl-icd-opencl-dev" "libjansson-dev" "libzip-dev" "libpng-dev")
  foreach(clmaml_pair "JPEG libjpeg-dev" "WEBP libwebp-dev" "GIF libgif-dev")
    separate_arguments(clmaml_pair)
    list(GET clmaml_pair 0 clmaml_format)
    if(CLMAML_USES_${clmaml_format})
      list(GET clmaml_pair 1 clmaml_format_package)
      list(APPEND clmaml_dev_packages ${clmaml_format_package})
    endif()
  endforeach()
  list(JOIN clmaml_dev_packages ", " CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS)
endif()
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SUGGESTS libclmaml-dev) # the documents
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
add_custom_target(uninstall COMMAND ${CMAKE_COMMAND} -DMANIFEST=${clmaml_installed} -DRECORD=${CLMAML_INSTALLED_DIRECTORIES}
  -P ${PROJECT_SOURCE_DIR}/cmake/uninstall.cmake COMMENT "Removing what was installed last")

if(CLMAML_BUILD_TESTS)
  add_test(NAME package COMMAND ${CMAKE_COMMAND}
    -DBUILD_DIR=${PROJECT_BINARY_DIR} -DSOURCE_DIR=${PROJECT_SOURCE_DIR} -DCONFIG=$<CONFIG> -DCPACK=${CMAKE_CPACK_COMMAND} -DVERSION=${PROJECT_VERSION}
    -DDPKG_DEB=${CLMAML_DPKG_DEB} -DDPKG_SHLIBDEPS=${CLMAML_DPKG_SHLIBDEPS} -DSHARED=${BUILD_SHARED_LIBS} -DSOVERSION=${CLMAML_SOVERSION} -DPAGES=${CLMAML_HAVE_PAGES}
    -P ${PROJECT_SOURCE_DIR}/cmake/test_package.cmake)
  set_tests_properties(package PROPERTIES LABELS package TIMEOUT 900 SKIP_REGULAR_EXPRESSION "skipped: "
    RESOURCE_LOCK "install;pages" # both fill install_manifest.txt; the pages are removed and written again
    ENVIRONMENT "${clmaml_install_environment}")
  set_tests_properties(install PROPERTIES RESOURCE_LOCK "install;pages")
  set_tests_properties(package PROPERTIES FIXTURES_SETUP debs)
endif()

# The same packages where there is nothing else, which needs the network.
if(CLMAML_BUILD_TESTS AND BUILD_SHARED_LIBS AND CLMAML_DPKG_DEB AND NOT CLMAML_SANITIZE)
  find_program(CLMAML_MMDEBSTRAP mmdebstrap)
  mark_as_advanced(CLMAML_MMDEBSTRAP)
  clmaml_proof(CLMAML_MMDEBSTRAP "mmdebstrap" mmdebstrap uidmap)
  if(CLMAML_MMDEBSTRAP)
    set(clmaml_root_is optional)
    if(CLMAML_REQUIRE_PROOFS)
      set(clmaml_root_is required)
    endif()
    add_test(NAME package/clean-root COMMAND sh ${PROJECT_SOURCE_DIR}/tests/package/clean_root.sh ${PROJECT_SOURCE_DIR}
      ${PROJECT_BINARY_DIR}/package-test ${PROJECT_VERSION} ${PROJECT_BINARY_DIR}/clean-root-test ${clmaml_root_is})
    set_tests_properties(package/clean-root PROPERTIES LABELS package TIMEOUT 900 SKIP_RETURN_CODE 77 FIXTURES_REQUIRED debs)
  endif()
endif()
