# The beginning of an installation: notes the directories that are not there yet, of those that it will make, for the target
# `uninstall`, which removes them when they are empty. Expects RECORD, a file, and DIRECTORIES, the destinations.
set(made "")
if(EXISTS "${RECORD}")
  file(STRINGS "${RECORD}" made ENCODING UTF-8) # of an installation before, over which this one goes
endif()
foreach(directory IN LISTS DIRECTORIES)
  if(NOT IS_ABSOLUTE "${directory}")
    set(directory "${CMAKE_INSTALL_PREFIX}/${directory}")
  endif()
  get_filename_component(directory "$ENV{DESTDIR}${directory}" ABSOLUTE)
  while(NOT IS_DIRECTORY "${directory}")
    list(APPEND made "${directory}")
    get_filename_component(directory "${directory}" DIRECTORY)
  endwhile()
endforeach()
list(REMOVE_DUPLICATES made)
list(JOIN made "\n" made)
file(WRITE "${RECORD}" "${made}\n")
