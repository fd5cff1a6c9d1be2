# Run by cpack between installing and packing; see EngramPackage.cmake.
set(tree "${CPACK_TEMPORARY_INSTALL_DIRECTORY}")
set(documents "${tree}/usr/share/doc/engram")

file(RENAME "${tree}/usr/etc" "${tree}/etc")
file(RENAME "${tree}/usr/share/man/man1/engram.1" "${tree}/engram.1")
file(MAKE_DIRECTORY "${tree}/usr/share/man/man1")
file(COPY_FILE "${CPACK_ENGRAM_DEBIAN_FOLDER}/copyright" "${documents}/copyright")
file(COPY_FILE "${CPACK_ENGRAM_DEBIAN_FOLDER}/changelog" "${tree}/changelog")
foreach(pair "engram.1:${tree}/usr/share/man/man1/engram.1.gz" "changelog:${documents}/changelog.gz")
  string(REGEX MATCH "^([^:]+):(.+)$" whole "${pair}")
  execute_process(COMMAND gzip --best --no-name --stdout "${tree}/${CMAKE_MATCH_1}"
    OUTPUT_FILE "${CMAKE_MATCH_2}" COMMAND_ERROR_IS_FATAL ANY)
  file(REMOVE "${tree}/${CMAKE_MATCH_1}")
endforeach()
execute_process(COMMAND chmod -R u=rwX,go=rX "${tree}" COMMAND_ERROR_IS_FATAL ANY)
