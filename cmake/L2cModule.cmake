# l2c_module(NAME [MODULES module ...]): the object library l2c_NAME from the sources beside the
# calling CMakeLists.txt. MODULES are the modules it may use (the arrows of docs/architecture.md).
function(l2c_module name)
  cmake_parse_arguments(arg "" "" "MODULES;SOURCES" ${ARGN})
  add_library(l2c_${name} OBJECT ${arg_SOURCES})
  target_include_directories(l2c_${name} PUBLIC "${PROJECT_SOURCE_DIR}/include")
  target_link_libraries(l2c_${name} PUBLIC ${L2C_LIBTORCH} PRIVATE l2c_internal_flags
                                           fmt::fmt-header-only)
  foreach(module IN LISTS arg_MODULES)
    target_link_libraries(l2c_${name} PRIVATE l2c_${module})
  endforeach()
  if(name STREQUAL "core")
    target_precompile_headers(l2c_core PRIVATE
                              "${PROJECT_SOURCE_DIR}/src/pch.h")
  else()
    target_precompile_headers(l2c_${name} REUSE_FROM l2c_core)
  endif()
endfunction()

# l2c_cuda_sources(TARGET file ...): C++ files that include headers of the CUDA toolkit.
function(l2c_cuda_sources target)
  target_sources(${target} PRIVATE ${ARGN})
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_CUDA_TOOLKIT_INCLUDE_DIRECTORIES})
endfunction()
