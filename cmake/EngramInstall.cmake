# What `cmake --install` lays down: the libraries from base to pipeline, the public headers, the
# package files for find_package(engram CONFIG), and the command where it was built.

include(CMakePackageConfigHelpers)

set(engram_rooms base kernels datasets devices config actors pipeline)
list(TRANSFORM engram_rooms PREPEND engram_ OUTPUT_VARIABLE engram_room_targets)
if(ENGRAM_ENABLE_CUDA)
  list(APPEND engram_room_targets engram_kernels_cuda)
endif()
set(engram_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/engram")

install(TARGETS ${engram_room_targets} EXPORT engramTargets ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}")
install(EXPORT engramTargets NAMESPACE engram:: DESTINATION "${engram_package_dir}")

# Installed headers are listed by name; scripts/check-arrows holds the list closed under inclusion and
# free of every header that is not the standard library's.
set(engram_header_list "${CMAKE_CURRENT_LIST_DIR}/public_headers.txt")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${engram_header_list}")
file(STRINGS "${engram_header_list}" engram_public_headers)
foreach(header IN LISTS engram_public_headers)
  get_filename_component(room "${header}" DIRECTORY)
  install(FILES "${PROJECT_SOURCE_DIR}/${header}" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/engram/${room}")
endforeach()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/engramConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/engramConfig.cmake" INSTALL_DESTINATION "${engram_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/engramConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/engramConfig.cmake"
  "${PROJECT_BINARY_DIR}/engramConfigVersion.cmake"
  "${CMAKE_CURRENT_LIST_DIR}/FindCAF.cmake"
  DESTINATION "${engram_package_dir}")

if(TARGET engram)
  install(TARGETS engram RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/scenarios" DESTINATION "${CMAKE_INSTALL_DATADIR}/engram")
endif()
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md"
  DESTINATION "${CMAKE_INSTALL_DOCDIR}")
