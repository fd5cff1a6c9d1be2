# engram_embed(<target> <name> <file>)
# Compiles `file` into `target` as `engram::embedded::<name>`, a std::string_view of its bytes.
function(engram_embed target name file)
  cmake_path(ABSOLUTE_PATH file BASE_DIRECTORY "${CMAKE_CURRENT_SOURCE_DIR}")
  set(source "${CMAKE_CURRENT_BINARY_DIR}/embedded/${name}.cpp")
  add_custom_command(OUTPUT "${source}"
    COMMAND "${CMAKE_COMMAND}" "-DNAME=${name}" "-DFILE=${file}" "-DSOURCE=${source}"
      -P "${PROJECT_SOURCE_DIR}/cmake/WriteEmbedded.cmake"
    DEPENDS "${file}" "${PROJECT_SOURCE_DIR}/cmake/WriteEmbedded.cmake"
    COMMENT "Embedding ${name}" VERBATIM)
  target_sources(${target} PRIVATE "${source}")
endfunction()
