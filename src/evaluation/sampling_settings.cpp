#include "sampling_settings.h"

#include "l2c/sampling/planning.h"

namespace l2c {

nlohmann::ordered_json sampling_settings(const Request& request) {
  const auto shape = plan_shape(1, request.spacing, request.steps, "");
  return {
      {"steps", shape.evaluations.size()},
      {"spacing", shape.spacing},
      {"sampler", request.sampler == SamplerKind::ddim ? "ddim" : "ddpm"},
      {"eta", request.eta},
      {"guidance", request.guidance},
      {"guidance_channels", request.guidance_channels == GuidanceChannels::all ? "all" : "three"}};
}

}  // namespace l2c
