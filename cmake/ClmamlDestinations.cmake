# Where an installation puts things, and what of that it has to make. Included before the first rule of installation.
if(CMAKE_INSTALL_DOCDIR STREQUAL "${CMAKE_INSTALL_DATAROOTDIR}/doc/${PROJECT_NAME}")
  set(CMAKE_INSTALL_DOCDIR ${CMAKE_INSTALL_DATAROOTDIR}/doc/clmaml) # lower case, as the program
endif()

set(CLMAML_PACKAGE_DIR ${CMAKE_INSTALL_LIBDIR}/cmake/clMAML)

# The first rule of all: which of them are not there yet, for `uninstall`. The test of the package finds one that is missing here.
set(clmaml_destinations ${CMAKE_INSTALL_BINDIR} ${CMAKE_INSTALL_LIBDIR}/pkgconfig ${CLMAML_PACKAGE_DIR} ${CMAKE_INSTALL_INCLUDEDIR}/clmaml)
foreach(place docs/devices docs/figures models examples python/examples src/cli)
  list(APPEND clmaml_destinations ${CMAKE_INSTALL_DOCDIR}/${place})
endforeach()
set(CLMAML_MODELS_DIR ${CMAKE_INSTALL_DATADIR}/clmaml/models)
list(APPEND clmaml_destinations ${CLMAML_MODELS_DIR} ${CMAKE_INSTALL_MANDIR}/man1 ${CMAKE_INSTALL_MANDIR}/man7
  ${CMAKE_INSTALL_DATADIR}/bash-completion/completions ${CMAKE_INSTALL_DATADIR}/zsh/site-functions
  ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
set(CLMAML_INSTALLED_DIRECTORIES ${PROJECT_BINARY_DIR}/installed_directories.txt)
install(CODE "
  set(clmaml_where \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/\")
  string(FIND \"\${clmaml_where}\" \"${PROJECT_BINARY_DIR}/\" clmaml_below)
  set(RECORD \"${CLMAML_INSTALLED_DIRECTORIES}\")
  if(clmaml_below EQUAL 0) # of a test
    set(RECORD \"${PROJECT_BINARY_DIR}/install_directories.txt\")
  endif()
  set(DIRECTORIES \"${clmaml_destinations}\")
  if(NOT clmaml_where MATCHES \"/_CPack_Packages/\")
    include(\"${PROJECT_SOURCE_DIR}/cmake/record_directories.cmake\")
  endif()")
