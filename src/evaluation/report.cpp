#include "l2c/evaluation/report.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "machine.h"
#include "sampling_settings.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;

Json json_of(const Spread& spread) {
  Json json{{"mean", spread.mean}, {"deviation", nullptr}};
  if (spread.deviation) json["deviation"] = *spread.deviation;
  return json;
}

Json json_of(const Quartiles& quartiles) {
  return {{"low", quartiles.low}, {"high", quartiles.high}};
}

Json json_of(const Interval& interval) {
  return {{"value", interval.value}, {"low", interval.low}, {"high", interval.high}};
}

Json json_of(const Timing& timing) {
  return {{"seconds_per_image", timing.seconds_per_image},
          {"seconds_per_image_quartiles", json_of(timing.seconds_per_image_quartiles)},
          {"speedup", timing.speedup},
          {"speedup_quartiles", json_of(timing.speedup_quartiles)},
          {"seconds", timing.seconds}};
}

Json json_of(const SeedResult& result) {
  const Quality& quality = result.quality;
  return {{"seed", result.seed},
          {"images", quality.images},
          {"images_fingerprint", result.images_fingerprint},
          {"frechet", quality.frechet},
          {"spatial_frechet", quality.spatial_frechet},
          {"kid", quality.kid},
          {"precision", quality.precision},
          {"recall", quality.recall},
          {"inception_score", quality.inception_score},
          {"inception_score_whole", quality.inception_score_whole},
          {"recognised", quality.recognised},
          {"accuracy", json_of(quality.accuracy)},
          {"sampling_seconds_per_image", result.seconds_per_image}};
}

Json json_of(const PolicyResult& result) {
  const PolicySpec& spec = result.spec;
  Json json{
      {"spec", spec.text}, {"name", spec.name}, {"policy", spec.identity}, {"steps", result.steps}};
  if (spec.threshold) {
    json["router_fingerprint"] = spec.router_fingerprint;
    json["threshold"] = *spec.threshold;
  }
  json["frechet"] = json_of(result.frechet);
  json["spatial_frechet"] = json_of(result.spatial_frechet);
  json["kid"] = json_of(result.kid);
  json["precision"] = json_of(result.precision);
  json["recall"] = json_of(result.recall);
  json["inception_score"] = json_of(result.inception_score);
  json["inception_score_whole"] = json_of(result.inception_score_whole);
  json["accuracy"] = json_of(result.accuracy);
  json["pooled_accuracy"] = json_of(result.pooled_accuracy);
  json["ideal_speedup"] = result.ideal_speedup;
  json["computed_share"] = result.computed_share;
  json["cache_bytes"] = result.cache_bytes;
  json["timing"] = json_of(result.timing);
  json["sampling_seconds_per_image"] = json_of(result.seconds_per_image);
  for (const auto& seed : result.seeds) json["seeds"].push_back(json_of(seed));
  return json;
}

Json model_json(const EvaluationReport& report) {
  const ModelSummary& model = report.model;
  return {{"architecture", model.architecture}, {"fingerprint", model.fingerprint},
          {"channels", model.channels},         {"size", model.size},
          {"classes", model.num_classes},       {"dtype", model.dtype},
          {"device", report.options.device}};
}

Json reference_json(const ReferenceStatistics& reference) {
  Json json{{"data", reference.data},
            {"data_fingerprint", reference.data_fingerprint},
            {"fingerprint", fingerprint(reference)},
            {"images", nullptr},
            {"subset", reference.features.size(0)}};
  if (reference.gaussian.rows > 0) json["images"] = reference.gaussian.rows;
  if (reference.knows_labels && reference.gaussian.rows > 0) {
    json["recognised"] = reference.recognised;
    json["accuracy"] = json_of(share_interval(reference.recognised, reference.gaussian.rows));
  }
  return json;
}

Json settings_json(const EvaluationReport& report) {
  const EvaluationOptions& options = report.options;
  const auto inception = inception_blocks(options.images, options.quality);
  Json json{{"images", options.images}, {"seeds", options.seeds}};
  json.update(sampling_settings(options.request));
  json.update({{"batch_size", options.request.batch_size},
               {"neighbour", options.quality.neighbour},
               {"kid_images", options.quality.kid_images},
               {"inception_blocks", inception.blocks},
               {"inception_block_images", inception.rows},
               {"timing_rounds", options.timing_rounds},
               {"timing_batch", timing_batch(options)}});
  return json;
}

}  // namespace

std::string report_json(const EvaluationReport& report, const std::string& command) {
  Json json;
  if (!command.empty()) json["command"] = command;
  json["model"] = model_json(report);
  json["network"] = {{"description", report.network}, {"fingerprint", report.network_fingerprint}};
  json["reference"] = reference_json(report.reference);
  json["settings"] = settings_json(report);
  json["machine"] = machine_json();
  json["machine"]["threads"] = report.threads;
  json["full_timing"] = json_of(report.full);
  for (const auto& policy : report.policies) json["policies"].push_back(json_of(policy));
  return json.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string report_table(const EvaluationReport& report) {
  return recorded_table(report_json(report), "the report");
}

}  // namespace l2c
