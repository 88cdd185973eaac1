#include "fuzz/seeds.h"

#include <cstdint>
#include <string_view>

#include "l2c/cache/router.h"
#include "l2c/io/npz.h"
#include "l2c/io/png_text.h"
#include "l2c/io/safetensors.h"
#include "l2c/models/dit_config.h"
#include "l2c/sampling/image_settings.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/pickle_programs.h"

namespace l2c::test {

namespace {

std::string contents(const std::vector<std::uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string all_types() {
  io::TensorMap tensors;
  for (const auto type : {at::kFloat, at::kHalf, at::kBFloat16, at::kDouble, at::kLong, at::kInt,
                          at::kShort, at::kChar, at::kByte, at::kBool, at::kUInt16, at::kUInt32,
                          at::kUInt64, at::kFloat8_e4m3fn, at::kFloat8_e5m2}) {
    tensors[c10::toString(type)] = at::zeros({2, 1}, type);
  }
  tensors["scalar"] = at::zeros({});
  tensors["empty"] = at::zeros({0, 4});
  const auto path = scratch() / "types.safetensors";
  io::write_safetensors(path, tensors, {{"format", "pt"}, {"author", "\"l2c\" \xc3\xa9"}});
  return read_bytes(path);
}

std::string training_state() {
  const auto path = scratch() / "state.safetensors";
  io::write_safetensors(path, {{"model.w", at::ones({2})}},
                        {{"step", "3"}, {"settings", "{}"}, {"checksum", ""}});
  return read_bytes(path);
}

std::string own_router() {
  const Router router(2, 4, {0, 1, -1, 5, 0, 0, -5, 2},
                      {.model_fingerprint = "00",
                       .spacing = "2",
                       .sampler = "ddim",
                       .threshold = 0.5,
                       .lambda = 1e-4,
                       .training = "a test",
                       .group = 3,
                       .recall = "latest"});
  const auto path = scratch() / "router.safetensors";
  router.save(path);
  return read_bytes(path);
}

// The form of the published DiT routers, or the bare one of U-ViT's; logits of our own.
std::string published_router(bool bare, bool legacy) {
  std::string rows = "}(";
  std::vector<RawStorage> storages;
  for (const char* key : {"0", "1"}) {
    rows += pickle_text(joined({key, ".prob"})) +
            pickle_tensor({.key = key, .count = 2, .sizes = {2}, .strides = {1}});
    storages.push_back({.key = key, .count = 2, .bytes = std::string(8, '\0')});
  }
  rows += "u";
  const std::string arguments = "}(" + pickle_text("model") + pickle_text("DiT-S/2") +
                                pickle_text("num_sampling_steps") + "K\x02" + pickle_text("l1") +
                                "G" + std::string(8, '\0') + "u";
  const std::string program = bare ? "\x80\x02" + rows + "."
                                   : "\x80\x02}(" + pickle_text("routers") + rows +
                                         pickle_text("args") + "cargparse\nNamespace\n)\x81" +
                                         arguments + "bu.";
  return legacy ? make_legacy(program, storages) : make_torch_zip(program, storages);
}

std::string checkpoint(bool deflated_too) {
  const std::string state =
      "}(" + pickle_text("w") + pickle_tensor({.count = 4, .sizes = {2, 2}, .strides = {2, 1}}) +
      pickle_text("t") + pickle_tensor({.count = 4, .offset = 1, .sizes = {3}, .strides = {0}}) +
      "u";
  const std::string program = "\x80\x02}(" + pickle_text("model") + state + pickle_text("ema") +
                              state + pickle_text("args") + "N" + "u.";
  if (!deflated_too) return make_torch_zip(program, {{.count = 4, .bytes = std::string(16, '\1')}});
  return make_deflated_zip(
      {{"a/data.pkl", program}, {"a/byteorder", "little"}, {"a/data/0", std::string(16, '\1')}});
}

std::string picture(int channels, bool text) {
  const io::Bitmap bitmap{
      .width = 3,
      .height = 2,
      .channels = channels,
      .pixels = std::vector<std::uint8_t>(6 * static_cast<std::size_t>(channels), 9)};
  const auto png = io::encode_png(bitmap);
  return contents(text ? io::with_png_text(png, "l2c", R"({"seed": 1})") : png);
}

std::string arrays() {
  const auto path = scratch() / "arrays.npz";
  io::NpzWriter writer(path);
  writer.add("mu", at::zeros({3}, at::kDouble));
  writer.add("x", at::zeros({2, 1, 2}, at::kByte));
  writer.commit();
  return read_bytes(path);
}

constexpr std::string_view vae =
    R"({"_class_name":"AutoencoderKL","act_fn":"silu","block_out_channels":[32,64],"latent_channels":4,)"
    R"("layers_per_block":1,"norm_num_groups":32,"out_channels":3,"scaling_factor":0.18215,)"
    R"("up_block_types":["UpDecoderBlock2D","UpDecoderBlock2D"],"shift_factor":null})";
constexpr std::string_view solver =
    R"({"_class_name":"DPMSolverMultistepScheduler","beta_schedule":"scaled_linear","beta_start":0.00085,)"
    R"("beta_end":0.012,"solver_order":2,"solver_type":"heun","timestep_spacing":"trailing",)"
    R"("lambda_min_clipped":-Infinity,"final_sigmas_type":"sigma_min","euler_at_final":true})";

std::string settings() {
  ImageSettings settings;
  settings.policy = "every:2+taylor:1";
  settings.router = "0123";
  settings.threshold = 0.5;
  settings.request.labels = {1, 2};
  settings.request.seeds = {3, 18446744073709551615ULL};
  settings.request.spacing = "10,10";
  settings.request.guidance_range = {.low = 1, .high = 900};
  settings.image = 1;
  return to_text(settings);
}

}  // namespace

std::vector<Seed> seeds() {
  return {{"types.safetensors", all_types()},
          {"training-state.safetensors", training_state()},
          {"router.safetensors", own_router()},
          {"router.pt", published_router(false, false)},
          {"router-bare.pt", published_router(true, false)},
          {"router-legacy.pt", published_router(false, true)},
          {"checkpoint.pt", checkpoint(false)},
          {"checkpoint-deflated.pt", checkpoint(true)},
          {"weights-legacy.pt",
           make_legacy({{"w", at::ones({2, 2})}, {"n", at::zeros({}, at::kLong)}})},
          {"arrays.npz", arrays()},
          {"gray.png", picture(1, false)},
          {"colour.png", picture(3, true)},
          {"dit.json", to_json(DiTConfig{})},
          {"vae.json", std::string(vae)},
          {"solver.json", std::string(solver)},
          {"settings.json", settings()},
          {"index.json", R"({"metadata":{},"weight_map":{"w":"a.safetensors"}})"}};
}

}  // namespace l2c::test
