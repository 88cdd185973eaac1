# The targets and what they share: for the fuzzers, and for tests/fuzz.
set(L2C_FUZZ_TARGETS json_config png_text router safetensors torch_legacy torch_zip)
set(L2C_FUZZ_SOURCES mutators.cpp pickle_values.cpp reading.cpp targets.cpp zip_mutator.cpp)
foreach(target IN LISTS L2C_FUZZ_TARGETS)
  list(APPEND L2C_FUZZ_SOURCES ${target}.cpp)
endforeach()
list(TRANSFORM L2C_FUZZ_SOURCES PREPEND "${CMAKE_CURRENT_LIST_DIR}/")
