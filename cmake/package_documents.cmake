# Script of CPack, before it makes the packages: every Debian package has the licence as its own `copyright`.
if(NOT CPACK_GENERATOR STREQUAL "DEB")
  return()
endif()
foreach(component IN LISTS CPACK_COMPONENTS_ALL)
  string(TOUPPER ${component} name)
  file(COPY ${CPACK_RESOURCE_FILE_LICENSE}
    DESTINATION ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr/share/doc/${CPACK_DEBIAN_${name}_PACKAGE_NAME})
  get_filename_component(file ${CPACK_RESOURCE_FILE_LICENSE} NAME)
  file(RENAME ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr/share/doc/${CPACK_DEBIAN_${name}_PACKAGE_NAME}/${file}
    ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/${component}/usr/share/doc/${CPACK_DEBIAN_${name}_PACKAGE_NAME}/copyright)
endforeach()
