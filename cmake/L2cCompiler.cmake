# How this project's own code is compiled: language, warnings, sanitizers, compiler cache.
if(PROJECT_IS_TOP_LEVEL AND NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "build type" FORCE)
endif()

# An interface target rather than global flags, so that a project which adds l2c by add_subdirectory
# keeps its own.
set(CMAKE_CXX_EXTENSIONS OFF)
add_library(l2c_internal_flags INTERFACE)
target_compile_features(l2c_internal_flags INTERFACE cxx_std_20)
# -fPIC for everything, programs included, so that all of them can use the one precompiled header.
target_compile_options(l2c_internal_flags INTERFACE -fPIC -Wall -Wextra -Wpedantic -Wshadow
                                                    -Wconversion -Wnon-virtual-dtor)
if(L2C_WERROR)
  target_compile_options(l2c_internal_flags INTERFACE -Werror)
endif()
if(L2C_SANITIZE)
  target_compile_options(l2c_internal_flags INTERFACE -fsanitize=${L2C_SANITIZE} -fno-omit-frame-pointer
                                                      -fno-sanitize-recover=all)
  target_link_options(l2c_internal_flags INTERFACE -fsanitize=${L2C_SANITIZE})
endif()
if(L2C_FUZZ)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -fsanitize=fuzzer)
  check_cxx_source_compiles("extern \"C\" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }"
                            L2C_HAS_LIBFUZZER)
  unset(CMAKE_REQUIRED_FLAGS)
  if(NOT L2C_HAS_LIBFUZZER)
    message(FATAL_ERROR "L2C_FUZZ=ON needs clang with libFuzzer (Debian: clang and libclang-rt-dev), but "
                        "${CMAKE_CXX_COMPILER} cannot link with -fsanitize=fuzzer.\n"
                        "Install them and use `make fuzz`, or give -DCMAKE_CXX_COMPILER=clang++.")
  endif()
  # Coverage for the fuzzer in all code; -fsanitize=fuzzer itself, which brings main(), is for its programs alone.
  target_compile_options(l2c_internal_flags INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(l2c_internal_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

find_program(L2C_CCACHE ccache)
mark_as_advanced(L2C_CCACHE)
if(PROJECT_IS_TOP_LEVEL AND L2C_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  # Without this sloppiness ccache refuses every file that uses a precompiled header.
  set(CMAKE_CXX_COMPILER_LAUNCHER
      "${CMAKE_COMMAND};-E;env;CCACHE_SLOPPINESS=pch_defines,time_macros;${L2C_CCACHE}")
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(l2c_internal_flags INTERFACE "SHELL:-Xclang -fno-pch-timestamp")
  else()
    target_compile_options(l2c_internal_flags INTERFACE -fpch-preprocess)
  endif()
endif()
if(PROJECT_IS_TOP_LEVEL)
  set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
endif()
