#include "facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "l2c/core/build_info.h"
#include "l2c/core/hash.h"
#include "l2c/evaluation/report.h"

namespace l2c {

namespace {

using Json = nlohmann::ordered_json;

// "kid_images": 10000 as "kid images" and "10000"; lists and objects are left out.
void add_facts(SweepFacts& facts, const Json& json, const std::string& of = "") {
  for (const auto& [key, value] : json.items()) {
    if (value.is_structured()) continue;
    auto name = of + key;
    std::replace(name.begin(), name.end(), '_', ' ');
    facts.emplace_back(name, value.is_string() ? value.get<std::string>() : value.dump());
  }
}

}  // namespace

EvaluationFacts facts_of(const Pipeline& pipeline, const FeatureNetwork& network,
                         const ReferenceStatistics& reference, const EvaluationOptions& options,
                         const std::string& device) {
  const EvaluationReport report{.model = pipeline.summary(),
                                .network = network.description(),
                                .network_fingerprint = network.fingerprint(),
                                .reference = reference,
                                .options = options,
                                .threads = build_info().threads,
                                .full = {},
                                .policies = {}};
  const auto json = Json::parse(report_json(report));
  EvaluationFacts facts;
  add_facts(facts.settings, json.at("settings"));
  facts.settings.emplace_back("dtype", pipeline.summary().dtype);
  add_facts(facts.machine, json.at("machine"));
  facts.machine.emplace_back("device", device);
  add_facts(facts.fingerprints, json.at("model"), "model: ");
  add_facts(facts.fingerprints, json.at("network"), "feature network: ");
  add_facts(facts.fingerprints, json.at("reference"), "real images: ");
  return facts;
}

std::string key_of(const SweepFacts& facts) {
  Hash hash;
  for (const auto& [name, text] : facts) {
    hash.text(name);
    hash.text(text);
  }
  return hash.hex();
}

}  // namespace l2c
