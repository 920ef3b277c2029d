# Pretrained models, models/NAME.safetensors with its card NAME.md. The program finds them from where it is itself (src/cli/config/pretrained.c):
# as installed, or in "models" beside it, which in a build leads to the source.
file(RELATIVE_PATH clmaml_bin_to_models ${CMAKE_INSTALL_FULL_BINDIR} ${CMAKE_INSTALL_FULL_DATADIR}/clmaml/models)
set(CLMAML_MODELS_DEFINITION CLMAML_MODELS_FROM_PROGRAM="${clmaml_bin_to_models}") # of whatever has the program's sources
target_compile_definitions(clmaml_program PRIVATE ${CLMAML_MODELS_DEFINITION})
if(NOT PROJECT_BINARY_DIR STREQUAL PROJECT_SOURCE_DIR)
  add_custom_command(TARGET clmaml_program POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E create_symlink ${PROJECT_SOURCE_DIR}/models $<TARGET_FILE_DIR:clmaml_program>/models VERBATIM)
endif()
install(DIRECTORY models/ DESTINATION ${CLMAML_MODELS_DIR} COMPONENT program
  FILES_MATCHING PATTERN "*.safetensors" PATTERN "*.md" PATTERN "*.txt")
