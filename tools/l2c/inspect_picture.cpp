// l2c inspect: pictures that carry their settings.
#include "inspecting.h"
#include "l2c/io/png.h"
#include "l2c/sampling/image_settings.h"

namespace l2c::cli {

using Json = nlohmann::ordered_json;

Json describe_picture(const std::string& path) {
  const auto bitmap = io::read_png(path);
  Json json{{"kind", "picture"},
            {"width", bitmap.width},
            {"height", bitmap.height},
            {"channels", bitmap.channels}};
  if (const auto settings = read_image_settings(path)) {
    json["settings"] = Json::parse(to_text(*settings));
  } else {
    json["carries"] = "no settings";
  }
  return json;
}

}  // namespace l2c::cli
