# Finds what l2c stands on, and decides whether LibTorch's CUDA side is linked (L2C_CUDA).
# A project that adds l2c by add_subdirectory links l2c::l2c in folders outside this one: it must see
# the targets that l2c links.
set(CMAKE_FIND_PACKAGE_TARGETS_GLOBAL ON)
find_package(LibTorch 2.8 REQUIRED)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED) # header-only: nothing for an application to find or ship
find_package(nlohmann_json 3.11 REQUIRED)
find_package(PNG REQUIRED)
find_package(Eigen3 3.4 REQUIRED NO_MODULE) # headers only
find_package(JPEG REQUIRED)
find_package(ZLIB REQUIRED)
# What the io module links. Object libraries do not pass it on: whoever links l2c_io adds it.
set(L2C_IO_LIBRARIES PNG::PNG JPEG::JPEG ZLIB::ZLIB)
find_package(Threads REQUIRED)
find_path(L2C_XXHASH_INCLUDE_DIR xxhash.h REQUIRED)
find_path(L2C_STB_INCLUDE_DIR stb_easy_font.h PATH_SUFFIXES stb REQUIRED)
mark_as_advanced(L2C_XXHASH_INCLUDE_DIR L2C_STB_INCLUDE_DIR)

set(L2C_USE_CUDA OFF)
if(NOT L2C_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(_l2c_no_cuda "no CUDA compiler (nvcc) was found")
  elseif(NOT LibTorch_CUDA_FOUND)
    set(_l2c_no_cuda "${LibTorch_CUDA_MISSING}")
  else()
    set(L2C_USE_CUDA ON)
  endif()
  if(L2C_CUDA STREQUAL "ON" AND NOT L2C_USE_CUDA)
    message(FATAL_ERROR "L2C_CUDA=ON, but ${_l2c_no_cuda}.\n"
                        "Install the CUDA toolkit and the complete wheel set (make deps CUDA=1).")
  endif()
endif()

if(L2C_USE_CUDA)
  # Turing, Ampere and Hopper, and what comes later by the intermediate code of the last.
  if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
    set(CMAKE_CUDA_ARCHITECTURES 75-real 80-real 90)
  endif()
  enable_language(CUDA)
  set(CMAKE_CUDA_RUNTIME_LIBRARY None) # LibTorch::cuda brings the one that LibTorch itself uses
  set(L2C_LIBTORCH LibTorch::cuda)
  message(STATUS "l2c: LibTorch ${LibTorch_VERSION} with CUDA (${LibTorch_LIBRARY_DIR})")
else()
  set(L2C_LIBTORCH LibTorch::cpu)
  if(_l2c_no_cuda)
    message(STATUS "l2c: LibTorch ${LibTorch_VERSION}, CPU only: ${_l2c_no_cuda}")
  else()
    message(STATUS "l2c: LibTorch ${LibTorch_VERSION}, CPU only")
  endif()
endif()
