# Finds CivetWeb, the embeddable web server. Debian's own package file wants the `civetweb` program as well.
#
#   CivetWeb::CivetWeb   the C library

find_path(CivetWeb_INCLUDE_DIR NAMES civetweb.h)
find_library(CivetWeb_LIBRARY NAMES civetweb)
mark_as_advanced(CivetWeb_INCLUDE_DIR CivetWeb_LIBRARY)

if(CivetWeb_INCLUDE_DIR AND EXISTS "${CivetWeb_INCLUDE_DIR}/civetweb.h")
  file(STRINGS "${CivetWeb_INCLUDE_DIR}/civetweb.h" version_line REGEX "#define CIVETWEB_VERSION \"")
  string(REGEX REPLACE ".*\"([0-9.]+)\".*" "\\1" CivetWeb_VERSION "${version_line}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CivetWeb
  REQUIRED_VARS CivetWeb_LIBRARY CivetWeb_INCLUDE_DIR VERSION_VAR CivetWeb_VERSION)

if(CivetWeb_FOUND AND NOT TARGET CivetWeb::CivetWeb)
  add_library(CivetWeb::CivetWeb UNKNOWN IMPORTED)
  set_target_properties(CivetWeb::CivetWeb PROPERTIES
    IMPORTED_LOCATION "${CivetWeb_LIBRARY}"
    INTERFACE_INCLUDE_DIRECTORIES "${CivetWeb_INCLUDE_DIR}")
endif()
