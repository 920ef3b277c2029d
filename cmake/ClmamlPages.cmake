# Man pages and completion of bash, zsh and fish. The program writes them from its tables of options as a step of the build; when it cannot
# run here, because it is built for another machine, there are none.
set(CLMAML_PAGES_DIR ${PROJECT_BINARY_DIR}/pages)
set(CLMAML_HAVE_PAGES TRUE)
if(CMAKE_CROSSCOMPILING AND NOT CMAKE_CROSSCOMPILING_EMULATOR)
  set(CLMAML_HAVE_PAGES FALSE)
  message(STATUS "man pages and completion are left out: the program cannot run here to write them")
  return()
endif()

string(TIMESTAMP clmaml_pages_date "%Y-%m-%d" UTC) # that of SOURCE_DATE_EPOCH, when it is set
set(clmaml_pages_stamp ${CLMAML_PAGES_DIR}/written)
add_custom_command(OUTPUT ${clmaml_pages_stamp}
  COMMAND ${CMAKE_COMMAND} -E rm -rf ${CLMAML_PAGES_DIR} # pages of commands that are no more
  COMMAND clmaml_program --write-docs ${CLMAML_PAGES_DIR} ${clmaml_pages_date}
  COMMAND ${CMAKE_COMMAND} -E touch ${clmaml_pages_stamp}
  DEPENDS clmaml_program
  COMMENT "Writing man pages and completion"
  VERBATIM)
add_custom_target(clmaml_pages ALL DEPENDS ${clmaml_pages_stamp})

# `cmake --install` builds nothing.
install(CODE "
  if(NOT EXISTS \"${clmaml_pages_stamp}\")
    message(FATAL_ERROR \"the man pages are not built; first: cmake --build ${PROJECT_BINARY_DIR}\")
  endif()" COMPONENT program)
install(DIRECTORY ${CLMAML_PAGES_DIR}/man1 ${CLMAML_PAGES_DIR}/man7 DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT program
  FILES_MATCHING PATTERN "*.[17]")
install(FILES ${CLMAML_PAGES_DIR}/clmaml.bash DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions
  COMPONENT program RENAME clmaml)
install(FILES ${CLMAML_PAGES_DIR}/_clmaml DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions COMPONENT program)
install(FILES ${CLMAML_PAGES_DIR}/clmaml.fish DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d COMPONENT program)
