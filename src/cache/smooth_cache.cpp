#include "l2c/cache/smooth_cache.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "l2c/core/error.h"
#include "l2c/core/hash.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"

namespace l2c {

namespace {

struct Component {
  BranchKind kind = BranchKind::attention;
  int block = -1;  // all
};

std::optional<BranchKind> kind_of(std::string_view name) {
  if (name == "attn" || name == "attn1") return BranchKind::attention;
  if (name == "mlp" || name == "ff") return BranchKind::mlp;
  return {};
}

std::optional<Component> component(const std::string& name) {
  const auto dash = name.find('-');
  const auto kind = kind_of(std::string_view(name).substr(0, dash));
  if (!kind) return {};
  if (dash == std::string::npos) return Component{*kind, -1};
  int block = -1;
  const char* const last = name.data() + name.size();
  const auto [end, error] = std::from_chars(name.data() + dash + 1, last, block);
  if (error != std::errc() || end != last || block < 0) return {};
  return Component{*kind, block};
}

void check_entry(const std::string& source, const std::string& name, const std::vector<int>& steps,
                 std::size_t length) {
  const auto refuse = [&](const std::string& why) {
    throw InputError(fmt::format("{}: entry \"{}\" {}", source, name, why));
  };
  if (!component(name)) {
    refuse("is none of attn, attn1, mlp and ff, with or without -BLOCK (\"attn-3\")");
  }
  if (steps.size() != length) {
    refuse(fmt::format("has {} steps, another one {}: give all of them the same number",
                       steps.size(), length));
  }
  if (steps.empty()) refuse("has no steps");
  for (const int step : steps) {
    if (step != 0 && step != 1) {
      refuse(fmt::format("holds {}: give 1 for computed, 0 for reused", step));
    }
  }
  if (steps.front() == 0) refuse("reuses in the first step, where nothing is stored yet");
}

// get<int>() would cut 0.5 to 0 and take true for 1.
std::vector<int> whole_numbers(const nlohmann::json& steps, const std::string& source,
                               const std::string& name) {
  const bool whole =
      steps.is_array() && std::all_of(steps.begin(), steps.end(),
                                      [](const auto& step) { return step.is_number_integer(); });
  if (!whole) {
    throw InputError(fmt::format(
        "{}: entry \"{}\" is {}: give a list of whole numbers, 1 for computed, 0 for reused",
        source, name, steps.dump()));
  }
  return steps.get<std::vector<int>>();
}

}  // namespace

SmoothCache::SmoothCache(Schedule schedule, std::string source)
    : schedule_(std::move(schedule)), source_(std::move(source)) {
  if (schedule_.empty()) throw InputError(fmt::format("{} has no entries", source_));
  const std::size_t length = schedule_.begin()->second.size();
  std::map<std::pair<BranchKind, int>, std::string> named;
  for (const auto& [name, steps] : schedule_) {
    check_entry(source_, name, steps, length);
    const auto [kind, block] = *component(name);
    const auto [other, fresh] = named.emplace(std::pair(kind, block), name);
    if (fresh) continue;
    throw InputError(
        fmt::format("{}: entries \"{}\" and \"{}\" are for the same branches: give one", source_,
                    other->second, name));
  }
}

SmoothCache SmoothCache::load(const std::filesystem::path& file) {
  const auto source = fmt::format("SmoothCache schedule '{}'", file.string());
  const auto text = io::read_text(file);
  io::check_json_text(text, source);
  Schedule schedule;
  try {
    const auto json = nlohmann::json::parse(text);  // items() refers to it
    for (const auto& [name, steps] : json.items()) {
      schedule[name] = whole_numbers(steps, source, name);
    }
  } catch (const nlohmann::json::exception& error) {
    throw InputError(
        fmt::format("{} is not JSON of the form {{\"attn\": [1, 0, ...], \"mlp\": [...]}}: {}",
                    source, error.what()));
  }
  SmoothCache loaded(std::move(schedule), source);
  loaded.file_name_ = file.stem().string();
  return loaded;
}

void SmoothCache::save(const std::filesystem::path& file) const {
  io::AtomicFile writer(file);
  writer.write(nlohmann::json(schedule_).dump());
  writer.write("\n");
  writer.commit();
}

std::string SmoothCache::name() const {
  return file_name_.empty() ? "smoothcache" : fmt::format("smoothcache {}", file_name_);
}

int SmoothCache::evaluations() const { return static_cast<int>(schedule_.begin()->second.size()); }

std::string SmoothCache::fingerprint() const {
  Hash hash;
  hash.text(nlohmann::json(schedule_).dump());
  return hash.hex();
}

const std::vector<int>* SmoothCache::entry(int unit) const {
  const BranchId id = BranchId::from_unit(unit);
  const std::vector<int>* of_kind = nullptr;
  for (const auto& [name, steps] : schedule_) {
    const auto named = *component(name);
    if (named.kind != id.kind) continue;
    if (named.block == id.block) return &steps;
    if (named.block < 0) of_kind = &steps;
  }
  return of_kind;
}

std::optional<CachePlan> SmoothCache::plan(const RunShape& shape) const {
  CachePlan plan(static_cast<int>(shape.evaluations.size()), shape.units());
  if (plan.evaluations() != evaluations()) {
    throw InputError(
        fmt::format("{0} is for {1} steps, the run has {2}: use --steps {1} or a schedule for {2}",
                    source_, evaluations(), plan.evaluations()));
  }
  for (const auto& [name, steps] : schedule_) {
    if (component(name)->block < shape.blocks) continue;
    throw InputError(
        fmt::format("{} names \"{}\", the model has blocks 0 to {}: use a schedule for this model",
                    source_, name, shape.blocks - 1));
  }
  for (int unit = 0; unit < plan.units(); ++unit) {
    const auto* const steps = entry(unit);
    if (steps == nullptr) continue;
    for (int k = 1; k < plan.evaluations(); ++k) {
      if ((*steps)[static_cast<std::size_t>(k)] == 0) plan.reuse(k, unit);
    }
  }
  return plan;
}

}  // namespace l2c
