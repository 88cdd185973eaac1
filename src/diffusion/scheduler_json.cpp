#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/core/words.h"
#include "l2c/diffusion/scheduler.h"

namespace l2c {

namespace {

using Json = nlohmann::json;

constexpr int most_train_timesteps = 100'000;
constexpr std::size_t longest_shown = 80;

// Lists and objects by their kind only: dump() calls itself for each level of foreign nesting.
std::string shown(const Json& json) {
  if (json.is_structured()) return json.is_array() ? "a list" : "an object";
  return one_line(json.dump(-1, ' ', false, Json::error_handler_t::replace), longest_shown);
}

// Python writes -Infinity, Infinity and NaN, which JSON does not know ("lambda_min_clipped":
// -Infinity): null instead, outside of strings.
std::string without_python_numbers(std::string_view text) {
  constexpr std::array<std::string_view, 3> words{"-Infinity", "Infinity", "NaN"};
  std::string result;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const auto* const word = std::ranges::find_if(
        words, [&](std::string_view candidate) { return text.substr(i).starts_with(candidate); });
    if (!in_string && word != words.end()) {
      result += "null";
      i += word->size();
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    const bool escaped = in_string && text[i] == '\\' && i + 1 < text.size();
    const std::size_t taken = escaped ? 2 : 1;  // an escaped quotation mark ends nothing
    result += text.substr(i, taken);
    i += taken;
  }
  return result;
}

class Reader {
 public:
  Reader(const Json& object, std::string_view where) : object_(object), where_(where) {}

  [[nodiscard]] const Json* find(const char* field) const {
    const auto found = object_.find(field);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }
  void read(const char* field, double& value, double smallest, double largest) const {
    const Json* json = find(field);
    if (json == nullptr) return;
    const double number = json->is_number() ? json->get<double>() : std::nan("");
    if (!(number >= smallest && number <= largest)) {
      fail(field, *json, fmt::format("a number of {} to {}", smallest, largest));
    }
    value = number;
  }
  void read(const char* field, int& value, int smallest, int largest) const {
    const Json* json = find(field);
    if (json == nullptr) return;
    if (!json->is_number_integer() || json->get<double>() < smallest ||
        json->get<double>() > largest) {
      fail(field, *json, fmt::format("a whole number of {} to {}", smallest, largest));
    }
    value = json->get<int>();
  }
  void read(const char* field, bool& value) const {
    const Json* json = find(field);
    if (json == nullptr) return;
    if (!json->is_boolean()) fail(field, *json, "true or false");
    value = json->get<bool>();
  }
  // One of these texts; the index of the one that is there, else `absent`.
  [[nodiscard]] std::size_t choice(const char* field, const std::vector<std::string>& texts,
                                   std::size_t absent = 0) const {
    const Json* json = find(field);
    if (json == nullptr) return absent;
    for (std::size_t i = 0; i < texts.size(); ++i) {
      if (*json == texts[i]) return i;
    }
    std::string all;
    for (const auto& text : texts) all += fmt::format("{}\"{}\"", all.empty() ? "" : " or ", text);
    fail(field, *json, all);
  }
  // An option that has no counterpart here: absent, null or false.
  void refuse(const char* field) const {
    const Json* json = find(field);
    if (json != nullptr && *json != false) fail(field, *json, "null or false");
  }

 private:
  [[noreturn]] void fail(const char* field, const Json& actual, std::string_view expected) const {
    throw InputError(fmt::format(
        "{}: {} is {}; supported is {}: sample with an official sampler (ddim, ddpm) instead",
        where_, field, shown(actual), expected));
  }
  const Json& object_;
  std::string_view where_;
};

Json parse(std::string_view text, std::string_view where) {
  Json json;
  try {
    json = Json::parse(without_python_numbers(text));
  } catch (const Json::exception& error) {
    throw InputError(
        fmt::format("{}: not JSON: {}", where, one_line(error.what(), 2 * longest_shown)));
  }
  if (!json.is_object()) {
    throw InputError(fmt::format(
        R"({}: a scheduler's configuration is a JSON object, like {{"_class_name": "DDIMScheduler", ...}})",
        where));
  }
  return json;
}

void read_betas(const Reader& reader, SchedulerConfig& config) {
  reader.read("num_train_timesteps", config.num_train_timesteps, 1, most_train_timesteps);
  reader.read("beta_start", config.beta_start, 1e-10, 0.999);
  reader.read("beta_end", config.beta_end, 1e-10, 0.999);
  config.scaled_linear = reader.choice("beta_schedule", {"linear", "scaled_linear"}) == 1;
  reader.read("steps_offset", config.steps_offset, 0, config.num_train_timesteps);
  (void)reader.choice("prediction_type", {"epsilon"});
  const auto absent =
      config.kind == SchedulerKind::ddim ? TimestepSpacing::leading : TimestepSpacing::linspace;
  config.timestep_spacing = static_cast<TimestepSpacing>(reader.choice(
      "timestep_spacing", {"leading", "linspace", "trailing"}, static_cast<std::size_t>(absent)));
  for (const char* field : {"trained_betas", "thresholding", "rescale_betas_zero_snr"}) {
    reader.refuse(field);
  }
}

void read_multistep(const Reader& reader, SchedulerConfig& config) {
  reader.read("solver_order", config.solver_order, 1, 2);
  (void)reader.choice("algorithm_type", {"dpmsolver++"});
  config.midpoint = reader.choice("solver_type", {"midpoint", "heun"}) == 0;
  reader.read("lower_order_final", config.lower_order_final);
  reader.read("euler_at_final", config.euler_at_final);
  config.final_sigma_zero = reader.choice("final_sigmas_type", {"zero", "sigma_min"}) == 0;
  for (const char* field :
       {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "use_lu_lambdas",
        "use_flow_sigmas", "use_dynamic_shifting", "lambda_min_clipped"}) {
    reader.refuse(field);
  }
}

}  // namespace

SchedulerConfig scheduler_config_from_json(std::string_view json, std::string_view where) {
  const Json object = parse(json, where);
  const Reader reader(object, where);
  SchedulerConfig config;
  if (reader.find("_class_name") == nullptr) {
    throw InputError(
        fmt::format("{}: _class_name is missing: it says which scheduler this is", where));
  }
  config.kind = static_cast<SchedulerKind>(
      reader.choice("_class_name", {"DDIMScheduler", "DPMSolverMultistepScheduler"}));
  read_betas(reader, config);
  if (config.kind == SchedulerKind::ddim) {
    reader.read("set_alpha_to_one", config.set_alpha_to_one);
    reader.read("clip_sample", config.clip_sample);
    reader.read("clip_sample_range", config.clip_sample_range, 1e-6, 1e6);
  } else {
    read_multistep(reader, config);
  }
  return config;
}

std::string describe(const SchedulerConfig& config) {
  constexpr std::array kinds{"DDIMScheduler", "DPMSolverMultistepScheduler"};
  constexpr std::array spacings{"leading", "linspace", "trailing"};
  return fmt::format("{}, {}", kinds.at(static_cast<std::size_t>(config.kind)),
                     spacings.at(static_cast<std::size_t>(config.timestep_spacing)));
}

}  // namespace l2c
