#include "facts.h"

#include <fmt/format.h>

#include "l2c/core/build_info.h"
#include "l2c/core/hash.h"
#include "l2c/ops/cpu_isa.h"
#include "l2c/sampling/planning.h"

namespace l2c {

SweepFacts settings_facts(const EvaluationOptions& options) {
  const Request& request = options.request;
  const auto shape = plan_shape(1, request.spacing, request.steps, "");
  return {{"images of each point and seed", fmt::format("{}", options.images)},
          {"steps", fmt::format("{}", shape.evaluations.size())},
          {"spacing", shape.spacing},
          {"sampler", request.sampler == SamplerKind::ddim ? "ddim" : "ddpm"},
          {"eta", fmt::format("{}", request.eta)},
          {"guidance scale", fmt::format("{}", request.guidance)},
          {"guided channels",
           request.guidance_channels == GuidanceChannels::all ? "all" : "the first three"},
          {"batch size", fmt::format("{}", request.batch_size)},
          {"rounds of timing", fmt::format("{}", options.timing_rounds)},
          {"images of a round", fmt::format("{}", timing_batch(options))},
          {"neighbour of precision and recall", fmt::format("{}", options.quality.neighbour)},
          {"blocks of the inception score, at most",
           fmt::format("{}", options.quality.inception_blocks)}};
}

SweepFacts machine_facts() {
  const auto info = build_info();
  return {{"processor", info.cpu_model},
          {"instruction set", ops::name(ops::cpu_isa())},
          {"threads", fmt::format("{}", info.threads)},
          {"l2c", info.version},
          {"LibTorch", info.libtorch},
          {"compiler", info.compiler}};
}

SweepFacts fingerprint_facts(const Pipeline& pipeline, const FeatureNetwork& network,
                             const ReferenceStatistics& reference) {
  return {{"model", pipeline.summary().fingerprint},
          {"feature network", network.fingerprint()},
          {"feature network is", network.description()},
          {"real images", reference.data},
          {"real images' fingerprint", reference.data_fingerprint},
          {"their statistics", fingerprint(reference)}};
}

std::string key_of(const SweepFacts& facts) {
  Hash hash;
  for (const auto& [name, text] : facts) {
    hash.text(name);
    hash.text(text);
  }
  return hash.hex();
}

DataInfo data_of(const ReferenceStatistics& reference) {
  return {.description = reference.data,
          .fingerprint = reference.data_fingerprint,
          .size = reference.features.size(0),
          .channels = reference.channels,
          .image_size = reference.image_size,
          .num_classes = reference.num_classes,
          .class_names = {}};
}

}  // namespace l2c
