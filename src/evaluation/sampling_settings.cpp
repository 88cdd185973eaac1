#include "sampling_settings.h"

#include "l2c/sampling/planning.h"

namespace l2c {

nlohmann::ordered_json sampling_settings(const Request& request) {
  const auto shape = plan_shape(1, request.spacing, request.steps, "");
  nlohmann::ordered_json json{{"steps", shape.evaluations.size()},
                              {"spacing", shape.spacing},
                              {"sampler", name_of(request.sampler)},
                              {"eta", request.eta},
                              {"guidance", request.guidance},
                              {"guidance_channels", name_of(request.guidance_channels)}};
  if (request.guidance_range != TimestepRange{}) {
    json["guidance_range"] = {request.guidance_range.low, request.guidance_range.high};
  }
  return json;
}

}  // namespace l2c
