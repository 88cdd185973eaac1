#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/sweep/choice.h"
#include "l2c/sweep/files.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* format_name = "l2c sweep 1";

Json json_of(const Spread& spread) {
  Json json{{"mean", spread.mean}, {"deviation", nullptr}};
  if (spread.deviation) json["deviation"] = *spread.deviation;
  return json;
}

Json json_of(const Quartiles& quartiles) {
  return {{"low", quartiles.low}, {"high", quartiles.high}};
}

Json json_of(const SweepNumbers& numbers) {
  return {{"frechet", json_of(numbers.frechet)},
          {"frechet_by_seed", numbers.frechet_by_seed},
          {"above_full_percent", json_of(numbers.above_full)},
          {"kid", json_of(numbers.kid)},
          {"precision", json_of(numbers.precision)},
          {"recall", json_of(numbers.recall)},
          {"inception_score", json_of(numbers.inception_score)},
          {"accuracy", json_of(numbers.accuracy)},
          {"seconds_per_image", numbers.seconds_per_image},
          {"seconds_per_image_quartiles", json_of(numbers.seconds_quartiles)},
          {"speedup", numbers.speedup},
          {"speedup_quartiles", json_of(numbers.speedup_quartiles)}};
}

// A text an evaluation: '#' computed, '.' reused, and '=' in front where it is no cache step.
Json json_of(const CachePlan& plan) {
  Json rows = Json::array();
  for (int k = 0; k < plan.evaluations(); ++k) {
    std::string row = plan.cache_step(k) ? "" : "=";
    for (int unit = 0; unit < plan.units(); ++unit) row += plan.computes(k, unit) ? '#' : '.';
    rows.push_back(row);
  }
  return rows;
}

Json json_of(const SweepPoint& point) {
  Json json{{"policy", point.policy},
            {"name", point.name},
            {"family", point.family},
            {"identity", point.identity},
            {"steps", point.steps},
            {"on_front", point.on_front},
            {"ideal_speedup", point.ideal_speedup},
            {"computed_share", point.computed_share},
            {"flops", point.flops},
            {"cache_bytes", point.cache_bytes},
            {"use", point.use},
            {"reproduce", point.reproduce},
            {"choosing", json_of(point.choosing)},
            {"reporting", nullptr},
            {"plan", nullptr},
            {"images_png_base64", point.images}};
  if (point.reporting) json["reporting"] = json_of(*point.reporting);
  if (point.plan) json["plan"] = json_of(*point.plan);
  return json;
}

Json json_of(const SweepFacts& facts) {
  Json json = Json::object();
  for (const auto& [name, text] : facts) json[name] = text;
  return json;
}

const char* kind_name(SweepBudget::Kind kind) {
  return kind == SweepBudget::Kind::quality ? "frechet_percent" : "speedup";
}

Json json_of(const SweepRecord& record, const SweepRecommendation& found) {
  Json json{{"budget", kind_name(found.budget.kind)},
            {"value", found.budget.value},
            {"point", nullptr},
            {"policy", nullptr},
            {"reason", found.reason},
            {"in_words", in_words(record, found)}};
  if (found.point) {
    json["point"] = *found.point;
    json["policy"] = record.points[*found.point].policy;
  }
  return json;
}

Spread spread_from(const Json& json) {
  Spread spread{.mean = json.at("mean").get<double>(), .deviation = {}};
  if (!json.at("deviation").is_null()) spread.deviation = json.at("deviation").get<double>();
  return spread;
}

// Of what may be left unmeasured: null, as JSON has no NaN.
Spread measured_from(const Json& json) {
  if (!json.at("mean").is_null()) return spread_from(json);
  return {.mean = std::numeric_limits<double>::quiet_NaN(), .deviation = {}};
}

Quartiles quartiles_from(const Json& json) {
  return {.low = json.at("low").get<double>(), .high = json.at("high").get<double>()};
}

SweepNumbers numbers_from(const Json& json) {
  return {.frechet_by_seed = json.at("frechet_by_seed").get<std::vector<double>>(),
          .frechet = spread_from(json.at("frechet")),
          .kid = measured_from(json.at("kid")),
          .precision = measured_from(json.at("precision")),
          .recall = measured_from(json.at("recall")),
          .inception_score = measured_from(json.at("inception_score")),
          .accuracy = measured_from(json.at("accuracy")),
          .above_full = spread_from(json.at("above_full_percent")),
          .seconds_per_image = json.at("seconds_per_image").get<double>(),
          .seconds_quartiles = quartiles_from(json.at("seconds_per_image_quartiles")),
          .speedup = json.at("speedup").get<double>(),
          .speedup_quartiles = quartiles_from(json.at("speedup_quartiles"))};
}

CachePlan plan_from(const Json& json) {
  const auto rows = json.get<std::vector<std::string>>();
  const auto cells = [](const std::string& row) {
    return row.starts_with('=') ? row.substr(1) : row;
  };
  const auto units = rows.empty() ? 0 : cells(rows.front()).size();
  CachePlan plan(static_cast<int>(rows.size()), static_cast<int>(units));
  for (int k = 0; k < plan.evaluations(); ++k) {
    const auto& row = rows[static_cast<std::size_t>(k)];
    const auto row_cells = cells(row);
    if (row_cells.size() != units || row_cells.find_first_not_of("#.") != std::string::npos) {
      throw InputError(fmt::format("a plan with the row \"{}\"", row));
    }
    if (!row.starts_with('=')) plan.mark_cache_step(k);
    for (int unit = 0; unit < plan.units(); ++unit) {
      if (row_cells[static_cast<std::size_t>(unit)] == '.') plan.reuse(k, unit);
    }
  }
  return plan;
}

SweepPoint point_from(const Json& json) {
  SweepPoint point{.policy = json.at("policy").get<std::string>(),
                   .name = json.at("name").get<std::string>(),
                   .family = json.at("family").get<std::string>(),
                   .identity = json.at("identity").get<std::string>(),
                   .steps = json.at("steps").get<int>(),
                   .ideal_speedup = json.at("ideal_speedup").get<double>(),
                   .computed_share = json.at("computed_share").get<double>(),
                   .flops = json.at("flops").get<double>(),
                   .cache_bytes = json.at("cache_bytes").get<std::int64_t>(),
                   .use = json.at("use").get<std::string>(),
                   .reproduce = json.at("reproduce").get<std::string>(),
                   .choosing = numbers_from(json.at("choosing")),
                   .on_front = json.at("on_front").get<bool>(),
                   .images = json.at("images_png_base64").get<std::string>()};
  if (!json.at("reporting").is_null()) point.reporting = numbers_from(json.at("reporting"));
  if (!json.at("plan").is_null()) point.plan = plan_from(json.at("plan"));
  return point;
}

SweepFacts facts_from(const Json& json) {
  SweepFacts facts;
  for (const auto& [name, text] : json.items()) facts.emplace_back(name, text.get<std::string>());
  return facts;
}

SweepRecommendation recommendation_from(const Json& json, std::size_t points) {
  SweepRecommendation found;
  const auto kind = json.at("budget").get<std::string>();
  if (kind != kind_name(SweepBudget::Kind::quality)) {
    if (kind != kind_name(SweepBudget::Kind::speedup)) {
      throw InputError(fmt::format("a budget of \"{}\"", kind));
    }
    found.budget.kind = SweepBudget::Kind::speedup;
  }
  found.budget.value = json.at("value").get<double>();
  found.reason = json.at("reason").get<std::string>();
  if (json.at("point").is_null()) return found;
  found.point = json.at("point").get<std::size_t>();
  if (*found.point >= points) {
    throw InputError(fmt::format("point {} is recommended, of {}", *found.point, points));
  }
  return found;
}

SweepRecord record_from(const Json& json) {
  if (json.at("format") != format_name) throw InputError("another format");
  SweepRecord record{
      .command = json.at("command").get<std::string>(),
      .model = json.at("model").get<std::string>(),
      .images = json.at("images").get<std::int64_t>(),
      .choosing_seeds = json.at("choosing_seeds").get<std::vector<std::uint64_t>>(),
      .reporting_seeds = json.at("reporting_seeds").get<std::vector<std::uint64_t>>(),
      .settings = facts_from(json.at("settings")),
      .machine = facts_from(json.at("machine")),
      .fingerprints = facts_from(json.at("fingerprints")),
      .images_shown = json.at("images_shown").get<int>()};
  for (const auto& point : json.at("points")) record.points.push_back(point_from(point));
  if (record.points.empty()) throw InputError("no points");
  for (const auto& found : json.at("recommendations")) {
    record.recommendations.push_back(recommendation_from(found, record.points.size()));
  }
  return record;
}

}  // namespace

std::string sweep_json(const SweepRecord& record) {
  Json json{{"format", format_name},
            {"command", record.command},
            {"model", record.model},
            {"images", record.images},
            {"choosing_seeds", record.choosing_seeds},
            {"reporting_seeds", record.reporting_seeds},
            {"settings", json_of(record.settings)},
            {"machine", json_of(record.machine)},
            {"fingerprints", json_of(record.fingerprints)},
            {"images_shown", record.images_shown},
            {"recommendations", Json::array()},
            {"points", Json::array()}};
  for (const auto& found : record.recommendations) {
    json["recommendations"].push_back(json_of(record, found));
  }
  for (const auto& point : record.points) json["points"].push_back(json_of(point));
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

SweepRecord read_sweep(const std::string& json, const std::string& where) {
  const auto refuse = [&](const char* why) {
    throw InputError(fmt::format("{} is not what l2c sweep writes as sweep.json: {}", where, why));
  };
  SweepRecord record;
  try {
    record = record_from(Json::parse(json));
  } catch (const Json::exception& error) {
    refuse(error.what());
  } catch (const InputError& error) {
    refuse(error.what());
  }
  return record;
}

SweepRecord load_sweep(const std::filesystem::path& path) {
  const auto file = io::MappedFile::open(path);
  const auto bytes = file->bytes();
  return read_sweep(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                    path.string());
}

}  // namespace l2c
