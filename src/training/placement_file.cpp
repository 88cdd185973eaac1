#include "placement_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "l2c/core/error.h"
#include "l2c/io/file.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;
constexpr const char* format = "l2c placement searches 1";

}  // namespace

PlacementFile::PlacementFile(std::filesystem::path path, const TrainingSettings& settings)
    : path_(std::move(path)) {
  io::check_writable(path_);
  if (std::filesystem::exists(path_)) read();
  const auto found = std::find_if(searches_.begin(), searches_.end(), [&](const auto& search) {
    return search.first.differences(settings).empty();
  });
  mine_ = static_cast<std::size_t>(found - searches_.begin());
  if (found == searches_.end()) searches_.emplace_back(settings, Tried());
}

std::optional<CacheDeviation> PlacementFile::find(const std::vector<int>& full_steps) const {
  const Tried& tried = searches_[mine_].second;
  const auto found = tried.find(full_steps);
  return found == tried.end() ? std::nullopt : std::optional(found->second);
}

void PlacementFile::add(const std::vector<int>& full_steps, const CacheDeviation& error) {
  searches_[mine_].second.insert_or_assign(full_steps, error);
  write();
}

void PlacementFile::read() {
  const auto refused = InputError(
      fmt::format("{} is not the record of searches for full steps: move it away, or name another "
                  "record",
                  path_.string()));
  const auto json = Json::parse(io::read_text(path_), nullptr, /*allow_exceptions=*/false);
  try {
    if (json.at("format") != format) throw refused;
    for (const Json& search : json.at("searches")) {
      Tried tried;
      for (const Json& entry : search.at("tried")) {
        tried[entry.at("full_steps").get<std::vector<int>>()] = {
            .local = entry.at("local").get<double>(), .drift = entry.at("drift").get<double>()};
      }
      searches_.emplace_back(
          TrainingSettings::from_json(search.at("settings").dump(), path_.string()),
          std::move(tried));
    }
  } catch (const Json::exception&) {
    throw refused;
  }
}

void PlacementFile::write() const {
  Json searches = Json::array();
  for (const auto& [settings, all] : searches_) {
    Json tried = Json::array();
    for (const auto& [full_steps, error] : all) {
      tried.push_back({{"full_steps", full_steps}, {"local", error.local}, {"drift", error.drift}});
    }
    searches.push_back(
        {{"settings", Json::parse(settings.to_json())}, {"tried", std::move(tried)}});
  }
  const Json json{{"format", format}, {"searches", std::move(searches)}};
  io::AtomicFile file(path_);
  file.write(json.dump(1));
  file.commit();
}

}  // namespace l2c
