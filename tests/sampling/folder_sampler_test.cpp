// Sampling from Diffusers folders, with the official samplers and with the folder's own. Golden:
// shared/reference/dpmpp2m (DPMSolverMultistepScheduler of Diffusers 0.42.1 around the official
// dit_tiny, guidance 4 on all 4 channels), made by scripts/make_reference.py.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "l2c/cache/policies.h"
#include "l2c/core/error.h"
#include "l2c/diffusion/scheduler.h"
#include "l2c/io/file.h"
#include "l2c/sampling/denoise.h"
#include "l2c/sampling/pipeline.h"
#include "l2c/sampling/tensors.h"
#include "support/diffusers_folder.h"
#include "support/golden.h"
#include "support/idx_files.h"
#include "support/models.h"
#include "support/vae.h"

namespace l2c {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::int64_t images = 4;  // in the golden

io::SafetensorsFile golden() {
  return io::SafetensorsFile::open(test::data("sampling/dpmpp2m_20.safetensors"));
}

// The golden's configuration is Diffusers' own, without the class's name.
std::string golden_scheduler() {
  auto text = io::read_text(test::data("sampling/dpmpp2m_scheduler_config.json"));
  return text.replace(0, 1, R"({"_class_name": "DPMSolverMultistepScheduler",)");
}

Request request_for(SamplerKind sampler) {
  Request request;
  request.labels = {1, 4, 7, 2};
  request.steps = 20;
  request.sampler = sampler;
  return request;
}

Request golden_request() {
  auto request = request_for(SamplerKind::folder);
  request.labels.clear();
  const at::Tensor y = golden().tensor("y");
  for (std::int64_t i = 0; i < images; ++i) request.labels.push_back(y[i].item<int>());
  request.guidance = 4;
  request.guidance_channels = GuidanceChannels::all;
  request.initial_noise = to_latents(golden().tensor("x")[0]);
  return request;
}

TEST(DpmSolverMultistep, MatchesDiffusersStepByStep) {
  const auto file = golden();
  const auto run =
      plan_scheduler(scheduler_config_from_json(golden_scheduler(), "scheduler_config.json"), 20);
  const std::vector<std::int64_t> timesteps(run.timesteps.begin(), run.timesteps.end());
  test::expect_equal(at::tensor(timesteps), file.tensor("timesteps"), "timesteps");
  test::expect_close(at::tensor(run.sigmas), file.tensor("sigmas"), 1e-6, "dpmpp2m_20: sigmas");
  SchedulerSteps steps(run);
  const auto x = file.tensor("x").to(test::device());
  int step = 0;
  const auto schedule = run.schedule();
  const auto model = test::tiny_model();
  const ComputeAll compute_all;
  const DenoiseJob job{
      .model = *model,
      .schedule = schedule,
      .policy = compute_all,
      .step =
          [&](int, int evaluation, const at::Tensor& sample, const at::Tensor& output) {
            test::expect_close(output.narrow(1, 0, 4),
                               file.tensor("guided_eps")[evaluation].to(test::device()), 1e-4,
                               "dpmpp2m_20: guided_eps");
            return steps.step(evaluation, sample, output);
          },
      .guidance = {.scale = 4, .channels = 4},
      .sampler = "folder",
      .stop = {},
      .observer =
          [&](const StepView& view) {
            test::expect_close(view.sample, x[++step], 1e-4, "dpmpp2m_20: x");
          }};
  (void)denoise(job, x[0], file.tensor("y").narrow(0, 0, images).to(test::device()));
  EXPECT_EQ(step, 20);
}

TEST(FolderSampler, APipelinesSchedulerGivesTheGolden) {
  const auto folder = test::diffusers_folder();
  test::write_file(folder / "scheduler/scheduler_config.json", golden_scheduler());
  const auto pipeline = Pipeline::load(folder);
  EXPECT_EQ(pipeline.summary().scheduler, "DPMSolverMultistepScheduler, linspace");
  auto request = golden_request();
  const auto result = pipeline.sample(request);
  test::expect_close(to_tensor(result.latents), golden().tensor("x")[20], 1e-4,
                     "dpmpp2m_20: Pipeline");
  // Micro-batches: each has a memory of its own.
  request.batch_size = 3;
  test::expect_equal(to_tensor(pipeline.sample(request).latents), to_tensor(result.latents),
                     "in two micro-batches");
  // A second run begins anew.
  test::expect_equal(to_tensor(pipeline.sample(request).latents), to_tensor(result.latents),
                     "once more");
}

TEST(FolderSampler, IsUsedOnlyWhenAskedFor) {
  const auto from_folder = Pipeline::load(test::data("diffusers"));
  const auto official = Pipeline::load(test::data("dit_tiny/weights.safetensors"));
  EXPECT_EQ(from_folder.summary().fingerprint, official.summary().fingerprint);
  EXPECT_EQ(from_folder.summary().scheduler, "DDIMScheduler, leading");
  EXPECT_EQ(official.summary().scheduler, "");
  const auto latents = [](const Pipeline& pipeline, SamplerKind sampler) {
    return to_tensor(pipeline.sample(request_for(sampler)).latents);
  };
  const auto ours = latents(from_folder, SamplerKind::ddim);
  test::expect_equal(ours, latents(official, SamplerKind::ddim), "the official sampler");
  EXPECT_GT(test::relative_error(latents(from_folder, SamplerKind::folder), ours), 1e-3);
}

TEST(FolderSampler, ADdimSchedulerWithTheOfficialTimestepsIsTheOfficialSampler) {
  const auto folder = test::diffusers_folder();
  test::replace_in(folder / "scheduler/scheduler_config.json", "\"steps_offset\"",
                   "\"timestep_spacing\": \"leading\", \"steps_offset\"");
  const auto pipeline = Pipeline::load(folder);
  auto request = request_for(SamplerKind::folder);
  const auto folders = to_tensor(pipeline.sample(request).latents);
  request = request_for(SamplerKind::ddim);
  request.steps.reset();
  request.spacing = "ddim20";  // 950, 900, ... 0, as "leading" has them
  test::expect_close(folders, to_tensor(pipeline.sample(request).latents), 1e-4,
                     "leading and ddim20");
}

TEST(FolderSampler, CachesWork) {
  const auto pipeline = Pipeline::load(test::data("diffusers"));
  auto request = request_for(SamplerKind::folder);
  request.cache = std::make_shared<EveryN>(2);
  const auto plan = pipeline.plan(request);
  ASSERT_TRUE(plan);
  EXPECT_EQ(plan->reused(), 10 * 8);
  EXPECT_EQ(pipeline.sample(request).stats.reused, 10 * 8);
}

std::string error_of(
    const std::filesystem::path& model,
    const std::function<void(Request&)>& change = [](Request&) {}) {
  const auto pipeline = Pipeline::load(model);
  auto request = request_for(SamplerKind::folder);
  change(request);
  try {
    (void)pipeline.plan(request);
  } catch (const InputError& error) {
    return error.what();
  }
  return "";
}

TEST(FolderSampler, WhereThereIsNone) {
  EXPECT_THAT(
      error_of(test::data("dit_tiny/weights.safetensors")),
      AllOf(HasSubstr("the folder's scheduler can't be used: this model does not come from"),
            HasSubstr("choose ddim or ddpm")));
  EXPECT_THAT(error_of(test::data("diffusers/transformer")),
              HasSubstr("has no scheduler/scheduler_config.json"));
  EXPECT_THAT([] { (void)Pipeline(test::tiny_model()).plan(request_for(SamplerKind::folder)); },
              ThrowsMessage<InputError>(HasSubstr("does not come from the folder")));
}

// The model can be used all the same.
TEST(FolderSampler, ASchedulerThatIsNotSupported) {
  const auto folder = test::diffusers_folder();
  test::replace_in(folder / "scheduler/scheduler_config.json", "DDIMScheduler", "UniPCScheduler");
  EXPECT_THAT(error_of(folder), AllOf(HasSubstr("scheduler_config.json: _class_name is"),
                                      HasSubstr("UniPCScheduler")));
  EXPECT_EQ(error_of(folder, [](Request& r) { r.sampler = SamplerKind::ddim; }), "");
  EXPECT_EQ(Pipeline::load(folder).summary().scheduler, "");
}

TEST(FolderSampler, RequestsThatDoNotFit) {
  const auto folder = test::data("diffusers");
  EXPECT_THAT(error_of(folder,
                       [](Request& r) {
                         r.steps.reset();
                         r.spacing = "ddim20";
                       }),
              AllOf(HasSubstr("spacing \"ddim20\""), HasSubstr("own timesteps")));
  EXPECT_THAT(error_of(folder, [](Request& r) { r.steps = 1001; }), HasSubstr("1001 steps"));
  EXPECT_EQ(error_of(folder, [](Request& r) { r.eta = 0.5; }), "");
  const auto multistep = test::diffusers_folder();
  test::write_file(multistep / "scheduler/scheduler_config.json", golden_scheduler());
  EXPECT_THAT(error_of(multistep, [](Request& r) { r.eta = 0.5; }),
              HasSubstr("eta belongs to DDIM"));
  // A router for the official timesteps.
  EXPECT_THAT(error_of(folder,
                       [](Request& r) {
                         Router router(20, 8, std::vector<float>(160),
                                       {.spacing = "20", .sampler = "ddim"}, "r.safetensors");
                         r.cache = std::make_shared<LearnedRouter>(std::move(router), 0.5);
                       }),
              AllOf(HasSubstr("r.safetensors"), HasSubstr("DDIMScheduler, leading, 20 steps")));
}

TEST(Labels, ByName) {
  const auto pipeline = Pipeline::load(test::data("diffusers"));
  EXPECT_EQ(pipeline.class_names().label("Golden Retriever"), 4);
  EXPECT_TRUE(Pipeline::load(test::data("dit_tiny/weights.safetensors")).class_names().empty());
  auto request = request_for(SamplerKind::ddim);
  request.labels = parse_labels({"goldfish", "4"}, pipeline.class_names());
  EXPECT_THAT(request.labels, testing::ElementsAre(1, 4));
}

std::filesystem::path folder_with_vae() {
  auto folder = test::diffusers_folder();
  test::write_tiny_vae(folder / "vae");
  return folder;
}

TEST(FolderVae, MakesThePictures) {
  const auto folder = folder_with_vae();
  const auto pipeline = Pipeline::load(folder);
  EXPECT_TRUE(pipeline.summary().decodes);
  EXPECT_FALSE(pipeline.summary().makes_pixels);
  EXPECT_EQ(pipeline.summary().image_size, 16);
  auto request = request_for(SamplerKind::ddim);
  request.steps = 3;
  const auto result = pipeline.sample(request);
  ASSERT_EQ(result.images.size(), 4U);
  const auto pixels = Autoencoder::load(folder / "vae")->decode(to_tensor(result.latents));
  for (std::size_t i = 0; i < result.images.size(); ++i) {
    const io::Bitmap& bitmap = result.images[i].bitmap;
    ASSERT_EQ((std::vector{bitmap.width, bitmap.height, bitmap.channels}),
              (std::vector{16, 16, 3}));
    const auto bytes = (pixels[static_cast<std::int64_t>(i)] * 127.5 + 128)
                           .clamp(0, 255)
                           .to(at::kByte)
                           .permute({1, 2, 0})
                           .contiguous();
    const auto made = at::tensor(at::ArrayRef<std::uint8_t>(bitmap.pixels)).view_as(bytes);
    // Decoded one at a time: sums may be rounded otherwise.
    EXPECT_LE((made.to(at::kInt) - bytes.to(at::kInt)).abs().max().item<int>(), 1) << i;
  }
  EXPECT_EQ(result.latents.shape[2], 8);
}

TEST(FolderVae, AnotherOneOrNone) {
  const auto folder = folder_with_vae();
  EXPECT_FALSE(Pipeline::load(folder, {.vae = "none"}).summary().decodes);
  const auto model = test::data("dit_tiny/weights.safetensors");
  const auto vae = (folder / "vae").string();
  EXPECT_EQ(Pipeline::load(model, {.vae = vae}).summary().image_size, 16);
  EXPECT_EQ(Pipeline::load(model).summary().image_size, 8);
  const auto config = test::data("dit_tiny/config.json").string();
  EXPECT_TRUE(Pipeline::seeded(config, 1, {.vae = vae}).summary().decodes);
}

TEST(FolderVae, RunsOnlyForPictures) {
  const auto pipeline = Pipeline::load(folder_with_vae());
  auto request = request_for(SamplerKind::ddim);
  request.steps = 2;
  request.pictures = false;
  int decodes = 0;
  const auto count = [&](const Progress& progress) { decodes += progress.phase == Phase::decode; };
  EXPECT_TRUE(pipeline.sample(request, count).images.empty());
  EXPECT_EQ(decodes, 0);
  request.pictures = true;
  EXPECT_EQ(pipeline.sample(request, count).images.size(), 4U);
  EXPECT_EQ(decodes, 5);
}

TEST(FolderVae, StopsBetweenPictures) {
  const auto pipeline = Pipeline::load(folder_with_vae());
  auto request = request_for(SamplerKind::ddim);
  request.steps = 2;
  std::stop_source stop;
  const auto at_the_second = [&, seen = 0](const Progress& progress) mutable {
    if (progress.phase == Phase::decode && ++seen == 2) stop.request_stop();
  };
  EXPECT_THAT([&] { (void)pipeline.sample(request, at_the_second, stop.get_token()); },
              ThrowsMessage<Cancelled>(HasSubstr("before image 2 of 4 was decoded")));
}

TEST(FolderVae, OneOfAnotherModel) {
  const auto folder = folder_with_vae();
  const auto demo = test::demo_model();  // of pixels
  EXPECT_THAT([&] { (void)Pipeline::load(demo, {.vae = (folder / "vae").string()}); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("latents of 4 channels"),
                                              HasSubstr("makes 1"), HasSubstr("\"none\""))));
  auto tensors = test::tiny_vae_weights();
  tensors.at("decoder.conv_out.bias").fill_(std::numeric_limits<float>::quiet_NaN());
  io::write_safetensors(folder / "vae/diffusion_pytorch_model.safetensors", tensors);
  auto request = request_for(SamplerKind::ddim);
  request.steps = 1;
  EXPECT_THAT([&] { (void)Pipeline::load(folder).sample(request); },
              ThrowsMessage<RunError>(HasSubstr("the VAE made NaN or infinity")));
}

}  // namespace
}  // namespace l2c
