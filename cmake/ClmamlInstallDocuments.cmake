# The documents and examples, in DOCDIR as they lie in the source, so that their links hold; headers are linked to where they are installed.
# tests/package/links.sh follows every link.
file(RELATIVE_PATH clmaml_doc_to_include /${CMAKE_INSTALL_DOCDIR} /${CMAKE_INSTALL_INCLUDEDIR})
set(clmaml_readme_installed ${PROJECT_BINARY_DIR}/documents/README.md)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/README.md)
file(READ README.md clmaml_readme_text)
string(REPLACE "](include/" "](${clmaml_doc_to_include}/" clmaml_readme_text "${clmaml_readme_text}")
file(CONFIGURE OUTPUT ${clmaml_readme_installed} CONTENT "${clmaml_readme_text}" @ONLY)

foreach(clmaml_place . docs docs/devices docs/figures models examples python python/examples src/cli)
  set(clmaml_documents "")
  if(clmaml_place STREQUAL ".")
    set(clmaml_documents ${clmaml_readme_installed} LICENSE CONTRIBUTING.md SECURITY.md)
  else()
    file(GLOB clmaml_documents CONFIGURE_DEPENDS ${clmaml_place}/*.md ${clmaml_place}/*.txt ${clmaml_place}/*.svg ${clmaml_place}/*.png)
    if(clmaml_place MATCHES "examples$")
      file(GLOB clmaml_documents CONFIGURE_DEPENDS ${clmaml_place}/*.c ${clmaml_place}/*.py ${clmaml_place}/*.json
        ${clmaml_place}/CMakeLists.txt)
    endif()
  endif()
  install(FILES ${clmaml_documents} DESTINATION ${CMAKE_INSTALL_DOCDIR}/${clmaml_place} COMPONENT development)
endforeach()
