# How every room is built: one static library `engram_<room>` with the alias `engram::<room>`.

# What was compiled in one checkout serves every other: paths count from the checkout.
find_program(ENGRAM_CCACHE ccache)
if(ENGRAM_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(engram_launcher "${CMAKE_COMMAND}" -E env "CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}" CCACHE_NOHASHDIR=true
    "${ENGRAM_CCACHE}")
  set(CMAKE_CXX_COMPILER_LAUNCHER "${engram_launcher}")
  set(CMAKE_CUDA_COMPILER_LAUNCHER "${engram_launcher}")
endif()

# Flags that every target of this tree shares. Never exported.
add_library(engram_flags INTERFACE)
target_compile_features(engram_flags INTERFACE cxx_std_20)
# -ffp-contract=off: the compiler must not invent fused multiply-adds; the kernels name theirs,
# because the bits of a score are part of the contract.
target_compile_options(engram_flags INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow;-Wconversion;-Wno-sign-conversion;-ffp-contract=off>
  $<$<AND:$<COMPILE_LANGUAGE:CXX>,$<BOOL:${ENGRAM_WARNINGS_AS_ERRORS}>>:-Werror>
  $<$<COMPILE_LANGUAGE:CUDA>:-Xcompiler=-Wall,-Wextra>
  $<$<AND:$<COMPILE_LANGUAGE:CUDA>,$<BOOL:${ENGRAM_WARNINGS_AS_ERRORS}>>:-Werror=all-warnings>)
# g++ 12 at -O3 sees overlaps in "text" + std::string that are not there (GCC bug 105651).
target_compile_options(engram_flags INTERFACE
  $<$<AND:$<COMPILE_LANG_AND_ID:CXX,GNU>,$<VERSION_LESS:$<CXX_COMPILER_VERSION>,13>,$<CONFIG:Release>>:-Wno-restrict>)
if(ENGRAM_SANITIZE)
  target_compile_options(engram_flags INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=${ENGRAM_SANITIZE};-fno-omit-frame-pointer;-fno-sanitize-recover=all>)
  target_link_options(engram_flags INTERFACE -fsanitize=${ENGRAM_SANITIZE})
endif()

# engram_add_room(<room> SOURCES ... [PUBLIC targets...] [PRIVATE targets...])
function(engram_add_room room)
  cmake_parse_arguments(arg "" "" "SOURCES;PUBLIC;PRIVATE" ${ARGN})
  set(target engram_${room})
  add_library(${target} STATIC ${arg_SOURCES})
  add_library(engram::${room} ALIAS ${target})
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${room} POSITION_INDEPENDENT_CODE ON
    CXX_EXTENSIONS OFF)
  target_compile_features(${target} PUBLIC cxx_std_20)
  target_include_directories(${target} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
  target_link_libraries(${target} PUBLIC ${arg_PUBLIC} PRIVATE ${arg_PRIVATE} $<BUILD_INTERFACE:engram_flags>)
endfunction()

# engram_add_test(<name> [SERIAL] [SOURCES ...] [ONE_THREAD sources...] LINK targets... [LABELS labels...])
# SERIAL: real time matters to it, so that nothing runs beside it.
# ONE_THREAD: more sources, whose tests start no thread. The thread sanitizer has nothing to find in them, so its
# build leaves them out.
# One test program; each of its tests is one entry of ctest, labelled with the program's name unless
# labels are given. Labels with a meaning: gpu, it needs one (scripts/gpu-test runs it); cuda, it is in
# builds with CUDA alone and needs no GPU.
function(engram_add_test name)
  cmake_parse_arguments(arg "SERIAL" "" "SOURCES;ONE_THREAD;LINK;LABELS" ${ARGN})
  if(NOT arg_LABELS)
    set(arg_LABELS ${name})
  endif()
  set(sources ${arg_SOURCES})
  if(NOT ENGRAM_SANITIZE STREQUAL "thread" OR NOT arg_SOURCES)
    list(APPEND sources ${arg_ONE_THREAD})
  endif()
  add_executable(${name} ${sources})
  set_target_properties(${name} PROPERTIES CXX_EXTENSIONS OFF ENGRAM_LABELS "${arg_LABELS}")
  target_link_libraries(${name} PRIVATE ${arg_LINK} GTest::gtest GTest::gmock GTest::gtest_main engram_flags)
  if(ENGRAM_SANITIZE STREQUAL "thread" AND NOT arg_SOURCES)
    set_target_properties(${name} PROPERTIES EXCLUDE_FROM_ALL TRUE)
    return()
  endif()
  # A parameter without a printer is shown with addresses in it, which would change a test's name.
  gtest_discover_tests(${name} NO_PRETTY_VALUES DISCOVERY_TIMEOUT 60
    PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 300 RUN_SERIAL ${arg_SERIAL})
endfunction()

# engram_add_cuda_target()
# `engram_cuda`: everything that a build without CUDA leaves out, and what changes with CUDA. That is what
# stands in a folder called cuda or gpu, the tests labelled gpu or cuda, and the command.
function(engram_add_cuda_target)
  add_custom_target(engram_cuda)
  set(folders "${PROJECT_SOURCE_DIR}")
  while(folders)
    list(POP_FRONT folders folder)
    get_property(inner DIRECTORY "${folder}" PROPERTY SUBDIRECTORIES)
    list(APPEND folders ${inner})
    get_property(targets DIRECTORY "${folder}" PROPERTY BUILDSYSTEM_TARGETS)
    foreach(target IN LISTS targets)
      get_target_property(type ${target} TYPE)
      get_target_property(labels ${target} ENGRAM_LABELS)
      if(NOT type MATCHES "LIBRARY|EXECUTABLE" OR type STREQUAL "INTERFACE_LIBRARY")
        continue()
      endif()
      if(folder MATCHES "/(cuda|gpu)$" OR "gpu" IN_LIST labels OR "cuda" IN_LIST labels OR target STREQUAL engram)
        add_dependencies(engram_cuda ${target})
      endif()
    endforeach()
  endwhile()
endfunction()
