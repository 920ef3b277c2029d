# Everything comes from the system. What is missing is named together with the Debian package that has it.
find_package(PkgConfig REQUIRED)

function(clmaml_need found what package)
  if(NOT ${found})
    message(FATAL_ERROR "clMAML needs ${what}. Debian and Ubuntu: apt-get install ${package}")
  endif()
endfunction()

find_package(OpenCL)
clmaml_need(OpenCL_FOUND "the OpenCL headers and ICD loader" "ocl-icd-opencl-dev opencl-c-headers")
pkg_check_modules(JANSSON IMPORTED_TARGET jansson>=2.10)
clmaml_need(JANSSON_FOUND "jansson (JSON)" libjansson-dev)
pkg_check_modules(LIBZIP IMPORTED_TARGET libzip)
clmaml_need(LIBZIP_FOUND "libzip" libzip-dev)
find_package(PNG)
clmaml_need(PNG_FOUND "libpng" libpng-dev)
