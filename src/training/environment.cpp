#include "environment.h"

#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

#include "l2c/core/log.h"
#include "l2c/io/safetensors.h"

namespace l2c {

namespace {

constexpr const char* libtorch = "libtorch";
constexpr const char* threads = "threads";

}  // namespace

void note_environment(TrainingSettings& settings) {
  settings.note(libtorch, TORCH_VERSION);
  settings.note(threads, fmt::format("{}", at::get_num_threads()));
}

void warn_of_other_environment(const SavedState& saved, const TrainingSettings& now) {
  const auto before = TrainingSettings::from_json(io::metadata_value(saved.metadata, "settings"),
                                                  saved.file.string());
  for (const char* name : {libtorch, threads}) {
    const auto then = before.noted(name);
    const auto here = now.noted(name);
    if (!then || then == here) continue;
    log::warning(
        fmt::format("{}: {} was {}, now {}: the training goes on, but its last bits may differ "
                    "from those of one that never stopped",
                    saved.file.string(), name, *then, here.value_or("unknown")));
  }
}

}  // namespace l2c
