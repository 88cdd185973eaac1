# LibTorch::cpu and, where the CUDA side can run, LibTorch::cuda: own imported targets, because the
# wheel's TorchConfig.cmake needs a CUDA toolkit even for CPU work (and fails with CMake 3.25).
#
#   find_package(LibTorch 2.8 REQUIRED [COMPONENTS CUDA])
#
# Looks at LibTorch_ROOT (cache or environment: the directory that holds include/ and lib/), then at
# CMAKE_PREFIX_PATH (a release zip, a wheel's site-packages/torch, or its share/cmake folder), at last
# at LibTorch_FALLBACK_ROOT (what an installed l2c was built with).
# The headers come with -idirafter: the wheel ships its own fmt, which must not hide the system's.
include(FindPackageHandleStandardArgs)

set(_libtorch_hints)
if(LibTorch_ROOT)
  list(APPEND _libtorch_hints "${LibTorch_ROOT}")
elseif(DEFINED ENV{LibTorch_ROOT} AND NOT "$ENV{LibTorch_ROOT}" STREQUAL "")
  list(APPEND _libtorch_hints "$ENV{LibTorch_ROOT}")
endif()
foreach(_prefix IN LISTS CMAKE_PREFIX_PATH)
  list(APPEND _libtorch_hints "${_prefix}" "${_prefix}/torch" "${_prefix}/../.." "${_prefix}/../../..")
endforeach()
if(LibTorch_FALLBACK_ROOT)
  list(APPEND _libtorch_hints "${LibTorch_FALLBACK_ROOT}")
endif()

find_path(LibTorch_INCLUDE_DIR ATen/ATen.h HINTS ${_libtorch_hints} PATH_SUFFIXES include)
foreach(_lib IN ITEMS c10 torch_cpu c10_cuda torch_cuda)
  find_library(LibTorch_${_lib}_LIBRARY ${_lib} HINTS ${_libtorch_hints} PATH_SUFFIXES lib)
  mark_as_advanced(LibTorch_${_lib}_LIBRARY)
endforeach()

if(LibTorch_INCLUDE_DIR)
  # TORCH_VERSION_MAJOR/MINOR/PATCH moved to headeronly/ in 2.9.
  foreach(_file IN ITEMS torch/headeronly/version.h torch/csrc/api/include/torch/version.h)
    if(EXISTS "${LibTorch_INCLUDE_DIR}/${_file}" AND NOT LibTorch_VERSION)
      file(STRINGS "${LibTorch_INCLUDE_DIR}/${_file}" _libtorch_lines
           REGEX "#define TORCH_VERSION_(MAJOR|MINOR|PATCH) [0-9]")
      string(REGEX REPLACE "[^0-9;]*([0-9]+)" "\\1" _libtorch_lines "${_libtorch_lines}")
      string(REPLACE ";" "." LibTorch_VERSION "${_libtorch_lines}")
    endif()
  endforeach()
endif()

# The slim wheel set holds libtorch_cuda.so but not what it needs: only a library whose every NEEDED
# entry resolves can run.
set(LibTorch_CUDA_FOUND FALSE)
set(LibTorch_CUDA_MISSING "libtorch_cuda.so is not part of this LibTorch")
if(LibTorch_torch_cuda_LIBRARY AND LibTorch_c10_cuda_LIBRARY)
  find_program(LibTorch_LDD ldd)
  mark_as_advanced(LibTorch_LDD)
  execute_process(COMMAND "${LibTorch_LDD}" "${LibTorch_torch_cuda_LIBRARY}"
                  OUTPUT_VARIABLE _libtorch_needs ERROR_QUIET RESULT_VARIABLE _libtorch_ldd_rc)
  string(REGEX MATCHALL "[^ \t\n]+ => not found" _libtorch_missing "${_libtorch_needs}")
  # libcuda.so.1 belongs to the driver: absent on a build machine, never linked by us.
  list(FILTER _libtorch_missing EXCLUDE REGEX "^libcuda\\.so")
  string(REPLACE " => not found" "" _libtorch_missing "${_libtorch_missing}")
  list(REMOVE_DUPLICATES _libtorch_missing)
  if(_libtorch_ldd_rc EQUAL 0 AND NOT _libtorch_missing)
    set(LibTorch_CUDA_FOUND TRUE)
    set(LibTorch_CUDA_MISSING "")
  else()
    string(REPLACE ";" ", " LibTorch_CUDA_MISSING "libtorch_cuda.so needs ${_libtorch_missing}")
  endif()
endif()

find_package_handle_standard_args(
  LibTorch
  REQUIRED_VARS LibTorch_torch_cpu_LIBRARY LibTorch_c10_LIBRARY LibTorch_INCLUDE_DIR
  VERSION_VAR LibTorch_VERSION
  HANDLE_COMPONENTS
  REASON_FAILURE_MESSAGE
    "Run `make deps`, or point LibTorch_ROOT at an unpacked LibTorch (the directory with include/ and lib/).")
mark_as_advanced(LibTorch_INCLUDE_DIR)

if(LibTorch_FOUND AND NOT TARGET LibTorch::cpu)
  get_filename_component(LibTorch_LIBRARY_DIR "${LibTorch_torch_cpu_LIBRARY}" DIRECTORY)
  foreach(_lib IN ITEMS c10 torch_cpu)
    add_library(LibTorch::${_lib} SHARED IMPORTED)
    set_target_properties(LibTorch::${_lib} PROPERTIES IMPORTED_LOCATION
                                                       "${LibTorch_${_lib}_LIBRARY}")
  endforeach()
  add_library(LibTorch::cpu INTERFACE IMPORTED)
  target_compile_options(
    LibTorch::cpu
    INTERFACE "SHELL:-idirafter \"${LibTorch_INCLUDE_DIR}\""
              "SHELL:-idirafter \"${LibTorch_INCLUDE_DIR}/torch/csrc/api/include\"")
  target_link_libraries(LibTorch::cpu INTERFACE LibTorch::torch_cpu LibTorch::c10)
  # DT_RPATH instead of DT_RUNPATH: it also serves the libraries that LibTorch itself loads.
  target_link_options(LibTorch::cpu INTERFACE "LINKER:--disable-new-dtags")
  if(LibTorch_CUDA_FOUND)
    add_library(LibTorch::cuda INTERFACE IMPORTED)
    # The CUDA runtime for kernels of one's own: the one that LibTorch will load, never a second.
    string(REGEX MATCH "libcudart[^ ]*\\.so[^ ]* => (/[^ ]+)" _libtorch_cudart "${_libtorch_needs}")
    if(NOT CMAKE_MATCH_1)
      message(FATAL_ERROR "LibTorch's ${LibTorch_torch_cuda_LIBRARY} names no CUDA runtime (libcudart) that can be found")
    endif()
    get_filename_component(LibTorch_cudart_LIBRARY "${CMAKE_MATCH_1}" REALPATH)
    get_filename_component(LibTorch_cudart_DIR "${LibTorch_cudart_LIBRARY}" DIRECTORY)
    # torch_cuda registers its kernels from initialisers: it must stay NEEDED although no symbol is used.
    target_link_libraries(
      LibTorch::cuda
      INTERFACE LibTorch::cpu "${LibTorch_c10_cuda_LIBRARY}" "${LibTorch_cudart_LIBRARY}"
                "-Wl,--push-state,--no-as-needed,${LibTorch_torch_cuda_LIBRARY},--pop-state")
    target_link_options(LibTorch::cuda INTERFACE "LINKER:-rpath,${LibTorch_LIBRARY_DIR}"
                        "LINKER:-rpath,${LibTorch_cudart_DIR}"
                        "LINKER:--allow-shlib-undefined")
  endif()
endif()
