# What `cmake --install` puts in place: the library, its headers, the program where it is built, and
# the package files with which find_package(l2c) works.
include(CMakePackageConfigHelpers)

set(_l2c_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/l2c")

# Installed binaries find LibTorch where it was at build time, and l2c beside themselves.
file(RELATIVE_PATH _l2c_bin_to_lib "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
set(_l2c_rpath "${LibTorch_LIBRARY_DIR}")
if(L2C_USE_CUDA)
  list(APPEND _l2c_rpath "${LibTorch_cudart_DIR}")
endif()
set_target_properties(l2c PROPERTIES INSTALL_RPATH "${_l2c_rpath}")
if(TARGET l2c_cli)
  set_target_properties(l2c_cli PROPERTIES INSTALL_RPATH
                                           "$ORIGIN/${_l2c_bin_to_lib};${_l2c_rpath}")
  install(TARGETS l2c_cli RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
  if(TARGET l2c_manual)
    set(_l2c_manual "${PROJECT_BINARY_DIR}/tools/l2c/manual")
    install(FILES "${_l2c_manual}/l2c.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1")
    install(FILES "${_l2c_manual}/l2c" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions")
    install(FILES "${_l2c_manual}/_l2c" DESTINATION "${CMAKE_INSTALL_DATADIR}/zsh/site-functions")
    install(FILES "${_l2c_manual}/l2c.fish" DESTINATION "${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d")
  endif()
endif()

install(
  TARGETS l2c l2c_torch
  EXPORT l2cTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/l2c" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(
  EXPORT l2cTargets
  NAMESPACE l2c::
  DESTINATION "${_l2c_package_dir}")

# For l2cConfig.cmake: the LibTorch that this build links.
get_filename_component(L2C_LIBTORCH_ROOT "${LibTorch_LIBRARY_DIR}" DIRECTORY)
string(REGEX MATCH "^[0-9]+\\.[0-9]+" L2C_LIBTORCH_SERIES "${LibTorch_VERSION}")
if(L2C_USE_CUDA)
  set(L2C_LIBTORCH_COMPONENTS "COMPONENTS CUDA")
else()
  set(L2C_LIBTORCH_COMPONENTS "")
endif()
configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/l2cConfig.cmake.in" "${PROJECT_BINARY_DIR}/l2cConfig.cmake"
  INSTALL_DESTINATION "${_l2c_package_dir}")
write_basic_package_version_file(
  "${PROJECT_BINARY_DIR}/l2cConfigVersion.cmake"
  VERSION ${PROJECT_VERSION}
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/l2cConfig.cmake" "${PROJECT_BINARY_DIR}/l2cConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/FindLibTorch.cmake" DESTINATION "${_l2c_package_dir}")
