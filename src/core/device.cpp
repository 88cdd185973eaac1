#include "l2c/core/device.h"

#include <ATen/Context.h>
#include <fmt/format.h>

#include <charconv>
#include <string>
#include <string_view>
#include <system_error>

#include "l2c/core/error.h"

namespace l2c {

namespace {

// The N of "cuda:N"; -1 when the text is no such number.
int parse_index(std::string_view text) {
  constexpr int kMost = 127;  // what at::Device can hold
  int index = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
  const bool whole = error == std::errc{} && end == text.data() + text.size();
  return whole && index >= 0 && index <= kMost ? index : -1;
}

[[noreturn]] void fail(const std::string& name, const std::string& what) {
  throw InputError(fmt::format("device '{}': {}", name, what));
}

}  // namespace

at::Device parse_device(const std::string& name) {
  if (name == "cpu") return at::Device(at::kCPU);
  constexpr std::string_view kPrefix = "cuda:";
  int index = 0;
  if (name != "cuda") {
    index =
        name.starts_with(kPrefix) ? parse_index(std::string_view(name).substr(kPrefix.size())) : -1;
    if (index < 0) fail(name, "no such kind of device; use cpu, cuda or cuda:N");
  }
  const at::Context& context = at::globalContext();
  if (!context.hasCUDART()) {
    fail(name,
         "this build of l2c is CPU-only (its LibTorch has no CUDA side); use cpu, or build with "
         "-DL2C_CUDA=ON on a machine with the CUDA toolkit");
  }
  if (!context.hasCUDA()) {
    fail(name,
         "no NVIDIA GPU or no driver was found on this machine; use cpu, or check nvidia-smi");
  }
  const auto count = static_cast<int>(at::getNumGPUs());
  if (index >= count) {
    fail(name, fmt::format("this machine has {} usable GPU{}; use {}", count, count == 1 ? "" : "s",
                           count == 0   ? "cpu"
                           : count == 1 ? "cuda:0"
                                        : fmt::format("cuda:0 to cuda:{}", count - 1)));
  }
  return at::Device(at::kCUDA, static_cast<at::DeviceIndex>(index));
}

at::ScalarType parse_dtype(const std::string& name) {
  if (name == "fp32") return at::kFloat;
  if (name == "bf16") return at::kBFloat16;
  throw InputError(fmt::format("dtype \"{}\": give \"fp32\" or \"bf16\"", name));
}

void disable_tf32() {
  at::Context& context = at::globalContext();
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
}

}  // namespace l2c
