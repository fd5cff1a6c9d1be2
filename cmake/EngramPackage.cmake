# The Debian package, of the component runtime: scripts/package.

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME engram)
set(CPACK_PACKAGE_VENDOR "The Engram authors")
set(CPACK_PACKAGE_CONTACT "The Engram authors <engram@example.org>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_INSTALL_CMAKE_PROJECTS "${PROJECT_BINARY_DIR};engram;runtime;/")
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION net)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "Answers which stored vectors are nearest to these, and which nodes of a
weighted graph light up when these do, over HTTP and gRPC. Requests are
batched, and each batch goes to the CPU or GPU that will finish it first. A
GPU that fails costs no request: the CPU answers, and it is brought back.")
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_DEPENDS "systemd | systemd-standalone-sysusers, init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "wordnet-base, prometheus")
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA
  "${engram_deploy}/debian/conffiles;${engram_deploy}/debian/postinst;${engram_deploy}/debian/prerm;${engram_deploy}/debian/postrm")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
# Moves /usr/etc to /etc and adds what Debian asks of every package.
set(CPACK_PRE_BUILD_SCRIPTS "${CMAKE_CURRENT_LIST_DIR}/EngramPackageTree.cmake")
set(CPACK_ENGRAM_DEBIAN_FOLDER "${engram_deploy}/debian")
include(CPack)
