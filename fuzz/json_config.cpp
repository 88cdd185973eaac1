// Configurations: our own of a DiT, those of Diffusers' parts, indices of pipelines and of shards;
// the settings of a picture.
#include <string>
#include <string_view>

#include "diffusers.h"
#include "l2c/diffusion/scheduler.h"
#include "l2c/io/file.h"
#include "l2c/io/json_text.h"
#include "l2c/io/sharded.h"
#include "l2c/models/autoencoder.h"
#include "l2c/models/dit_config.h"
#include "l2c/sampling/image_settings.h"
#include "reading.h"

namespace l2c::fuzz {

namespace {

void check_dit(const DiTConfig& config, const std::string& where) {
  require(config.tokens() > 0 && config.mlp_width() > 0, "a DiT without a size");
  require(forward_cost(config).total().truth > 0, "a DiT that costs nothing");
  const auto again = dit_config_from_json(to_json(config), where);
  require(again == config && differences(again, config).empty(), "a DiT that changes when saved");
}

void check_settings(const ImageSettings& settings, const std::string& where) {
  const auto text = to_text(settings);
  require(to_text(parse_image_settings(text, where)) == text, "settings that change when saved");
}

void check_scheduler(const SchedulerConfig& config) {
  require(!describe(config).empty(), "a scheduler without a name");
  // Its plan may refuse the number of steps, in terms of the options alone.
  accepted("", [&] {
    const auto run = plan_scheduler(config, 3);
    require(run.steps() == 3, "another number of steps");
  });
}

}  // namespace

void json_config(Bytes bytes) {
  const auto& path = file_of(bytes);
  const std::string where = path.native();
  std::string text;
  if (!accepted(where, [&] { text = io::read_text(path, io::most_json_bytes); })) return;
  accepted(where, [&] { check_dit(dit_config_from_json(text, where), where); });
  accepted(where, [&] { check_dit(diffusers_config(text, where), where); });
  accepted(where, [&] { check_scheduler(scheduler_config_from_json(text, where)); });
  accepted(where, [&] {
    const auto config = autoencoder_config_from_json(text, where);
    require(config.scale() >= 1 && !decoder_shapes(config).empty(), "a VAE without a decoder");
  });
  accepted(where, [&] { check_settings(parse_image_settings(text, where), where); });
  const auto pipeline = also_called("pipeline/model_index.json").parent_path();
  accepted(pipeline.native(), [&] { (void)find_diffusers(pipeline); });
  const auto shards = also_called("model.safetensors.index.json");
  accepted(shards.parent_path().native(), [&] { (void)io::open_sharded(shards); });
}

}  // namespace l2c::fuzz
