# Finds the C++ Actor Framework 0.17, of which Debian ships the library without CMake files.
#
#   find_package(CAF 0.17.6 REQUIRED COMPONENTS core)
#
# Components: core, io, openssl; each gives a target CAF::<component>.
# ENGRAM_CAF_ROOT names a prefix to take it from instead of the system's, and nothing else is looked at
# then: the thread sanitizer needs a CAF that was built with it, and must not get another one by accident.

set(ENGRAM_CAF_ROOT "" CACHE PATH "Prefix of the CAF to use; empty: the system's")
if(ENGRAM_CAF_ROOT)
  set(_caf_where PATHS "${ENGRAM_CAF_ROOT}" NO_DEFAULT_PATH)
else()
  set(_caf_where)
endif()

# A prefix that changed since the last configuration must not leave old results behind.
if(NOT "${_engram_caf_root_used}" STREQUAL "${ENGRAM_CAF_ROOT}")
  foreach(_component core io openssl)
    unset(CAF_${_component}_LIBRARY CACHE)
  endforeach()
  unset(CAF_INCLUDE_DIR CACHE)
endif()
set(_engram_caf_root_used "${ENGRAM_CAF_ROOT}" CACHE INTERNAL "")

find_path(CAF_INCLUDE_DIR caf/config.hpp ${_caf_where} PATH_SUFFIXES include)
mark_as_advanced(CAF_INCLUDE_DIR)

set(CAF_VERSION "")
if(CAF_INCLUDE_DIR)
  # 0.17.6 is written 1706: major * 10000 + minor * 100 + patch.
  file(STRINGS "${CAF_INCLUDE_DIR}/caf/config.hpp" _caf_line REGEX "#define CAF_VERSION [0-9]+")
  if(_caf_line MATCHES "CAF_VERSION ([0-9]+)")
    math(EXPR _caf_major "${CMAKE_MATCH_1} / 10000")
    math(EXPR _caf_minor "${CMAKE_MATCH_1} / 100 % 100")
    math(EXPR _caf_patch "${CMAKE_MATCH_1} % 100")
    set(CAF_VERSION "${_caf_major}.${_caf_minor}.${_caf_patch}")
  endif()
endif()

foreach(_component IN LISTS CAF_FIND_COMPONENTS)
  find_library(CAF_${_component}_LIBRARY caf_${_component} ${_caf_where} PATH_SUFFIXES lib)
  mark_as_advanced(CAF_${_component}_LIBRARY)
  if(CAF_${_component}_LIBRARY)
    set(CAF_${_component}_FOUND TRUE)
  endif()
endforeach()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(CAF
  REQUIRED_VARS CAF_INCLUDE_DIR
  VERSION_VAR CAF_VERSION
  HANDLE_COMPONENTS
  REASON_FAILURE_MESSAGE "install libcaf-dev (scripts/bootstrap does), or set ENGRAM_CAF_ROOT")

if(CAF_FOUND AND NOT CAF_VERSION VERSION_LESS 0.18)
  # The later interface differs in every actor's signature; failing here says so in one sentence.
  message(FATAL_ERROR "Engram is written for CAF 0.17; ${CAF_INCLUDE_DIR} holds ${CAF_VERSION}. "
    "Install libcaf-dev of Debian 12, or point ENGRAM_CAF_ROOT at a CAF 0.17.")
endif()

if(CAF_FOUND)
  include(CMakeFindDependencyMacro)
  find_dependency(Threads)
  foreach(_component IN LISTS CAF_FIND_COMPONENTS)
    if(TARGET CAF::${_component})
      continue()
    endif()
    add_library(CAF::${_component} UNKNOWN IMPORTED)
    set_target_properties(CAF::${_component} PROPERTIES
      IMPORTED_LOCATION "${CAF_${_component}_LIBRARY}"
      INTERFACE_INCLUDE_DIRECTORIES "${CAF_INCLUDE_DIR}")
  endforeach()
  if(TARGET CAF::core)
    set_property(TARGET CAF::core PROPERTY INTERFACE_LINK_LIBRARIES Threads::Threads)
  endif()
  if(TARGET CAF::io)
    set_property(TARGET CAF::io PROPERTY INTERFACE_LINK_LIBRARIES CAF::core)
  endif()
  if(TARGET CAF::openssl)
    find_dependency(OpenSSL)
    set_property(TARGET CAF::openssl PROPERTY INTERFACE_LINK_LIBRARIES "CAF::io;OpenSSL::SSL")
  endif()
endif()
