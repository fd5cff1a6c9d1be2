# What `cmake --install` lays down. Component development: the libraries from base to pipeline, the public
# headers, the package files for find_package(engram CONFIG). Component runtime, where the command was built:
# the command, and what whoever runs it needs.

include(CMakePackageConfigHelpers)

set(engram_rooms base kernels datasets devices config actors pipeline)
list(TRANSFORM engram_rooms PREPEND engram_ OUTPUT_VARIABLE engram_room_targets)
if(ENGRAM_ENABLE_CUDA)
  list(APPEND engram_room_targets engram_kernels_cuda)
endif()
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)
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
  set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)
  set(engram_deploy "${PROJECT_SOURCE_DIR}/deploy")
  install(TARGETS engram RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/scenarios" DESTINATION "${CMAKE_INSTALL_DATADIR}/engram")
  install(FILES "${engram_deploy}/engram.toml" DESTINATION "${CMAKE_INSTALL_SYSCONFDIR}/engram")
  install(DIRECTORY "${engram_deploy}/prometheus" "${engram_deploy}/grafana" "${engram_deploy}/kubernetes"
    DESTINATION "${CMAKE_INSTALL_DATADIR}/engram" PATTERN tests EXCLUDE)
  # The unit names the places of a package; under another prefix it names those.
  file(READ "${engram_deploy}/systemd/engram.service" engram_unit)
  string(REPLACE "/usr/bin/engram" "${CMAKE_INSTALL_FULL_BINDIR}/engram" engram_unit "${engram_unit}")
  string(REPLACE "/etc/engram/" "${CMAKE_INSTALL_FULL_SYSCONFDIR}/engram/" engram_unit "${engram_unit}")
  string(REPLACE "/usr/share/doc/engram" "${CMAKE_INSTALL_FULL_DOCDIR}" engram_unit "${engram_unit}")
  file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/engram.service" CONTENT "${engram_unit}" @ONLY)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${engram_deploy}/systemd/engram.service")
  install(FILES "${PROJECT_BINARY_DIR}/engram.service" DESTINATION lib/systemd/system)
  install(FILES "${engram_deploy}/systemd/engram.sysusers" DESTINATION lib/sysusers.d RENAME engram.conf)
  install(FILES "${engram_deploy}/systemd/engram.tmpfiles" DESTINATION lib/tmpfiles.d RENAME engram.conf)
  install(FILES "${engram_deploy}/debian/engram.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/docs/" DESTINATION "${CMAKE_INSTALL_DOCDIR}"
    FILES_MATCHING PATTERN "*.md" PATTERN decisions EXCLUDE)
  include(EngramPackage)
endif()
install(FILES "${PROJECT_SOURCE_DIR}/README.md" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
# A Debian package has its own file for this.
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT development)
