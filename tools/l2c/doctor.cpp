// l2c doctor: what this build and this machine can do.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <CLI/App.hpp>
#include <nlohmann/json.hpp>

#include "commands.h"
#include "console.h"
#include "l2c/core/build_info.h"
#include "l2c/ops/cpu_isa.h"
#include "report.h"

namespace l2c::cli {

namespace {

std::string or_none(const std::vector<std::string>& names, std::string_view none) {
  return names.empty() ? std::string(none) : fmt::format("{}", fmt::join(names, ", "));
}

void doctor(bool json) {
  const auto info = build_info();
  if (json) {
    const nlohmann::ordered_json out{{"l2c", info.version},
                                     {"compiler", info.compiler},
                                     {"libtorch", info.libtorch},
                                     {"cpu_model", info.cpu_model},
                                     {"cpu_capability", info.cpu_capability},
                                     {"cpu_isa", ops::name(ops::cpu_isa())},
                                     {"cpu_features", info.cpu_features},
                                     {"threads", info.threads},
                                     {"cuda_build", info.cuda_build},
                                     {"gpus", info.gpus}};
    say(json_text(out));
    return;
  }
  say(fmt::format("l2c            {}, built with {}", info.version, info.compiler));
  say(fmt::format("LibTorch       {}, using {}", info.libtorch, info.cpu_capability));
  say(fmt::format("CPU            {}", info.cpu_model.empty() ? "unknown" : info.cpu_model));
  say(fmt::format("CPU features   {}",
                  or_none(info.cpu_features, "none of those that matter here")));
  say(fmt::format("CPU kernels    {} (L2C_CPU_ISA forces another)", ops::name(ops::cpu_isa())));
  say(fmt::format("threads        {} (--threads or OMP_NUM_THREADS changes it)", info.threads));
  say(fmt::format("CUDA           {}", info.cuda_build ? "this build has it" : "CPU-only build"));
  say(fmt::format("GPUs           {}", or_none(info.gpus, "none usable")));
}

}  // namespace

void add_doctor(CLI::App& app) {
  auto* command = app.add_subcommand("doctor", "Show versions, CPU features, threads and GPUs.");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "for programs");
  command->footer("Example:\n  l2c doctor");
  command->callback([json] { doctor(*json); });
}

}  // namespace l2c::cli
