#include "own_samples.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/io/file.h"
#include "l2c/io/safetensors.h"
#include "router_support.h"
#include "saved_tensors.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;
using namespace test;

TEST(OwnSamples, TrainARouterWithoutData) {
  const auto folder = test::scratch();
  std::vector<double> made;
  RouterTrainer trainer(tiny_model(), nullptr, tiny_options(), folder);
  const auto result = trainer.run([&](const TrainingProgress& progress) {
    if (progress.values.front().first == "own_samples") {
      made.push_back(progress.values.front().second);
    }
  });
  EXPECT_EQ(made, (std::vector<double>{4, 6}));
  EXPECT_EQ(result.iterations, 12);
  const auto file = io::SafetensorsFile::open(folder / "own-samples.safetensors");
  EXPECT_EQ(file.tensor("latents").sizes(), (at::IntArrayRef{6, 4, 8, 8}));
  test::expect_equal(file.tensor("labels"), at::arange(6), "labels in turn");
  EXPECT_FALSE(fs::exists(folder / "own-samples"));
  EXPECT_THAT(result.router.info().training, HasSubstr("6 own samples of 20 steps, guidance 1.5"));
}

TEST(OwnSamples, StopAndResumeToTheSameBits) {
  const auto whole = test::scratch();
  const auto expected = train(tiny_options(), whole, nullptr);
  const auto folder = test::scratch();
  std::stop_source source;
  EXPECT_THAT(
      [&] {
        RouterTrainer(tiny_model(), nullptr, tiny_options(), folder)
            .run([&](const TrainingProgress&) { source.request_stop(); }, source.get_token());
      },
      ThrowsMessage<Cancelled>(HasSubstr("stopped after 4 of 6 own samples")));
  EXPECT_FALSE(fs::exists(folder / "own-samples.safetensors"));
  const auto part = folder / "own-samples/part-00000000.safetensors";
  ASSERT_TRUE(fs::exists(part));
  stop_after(5, tiny_options(), folder, nullptr);
  const auto resumed = train(tiny_options(), folder, nullptr);
  EXPECT_EQ(logits(resumed.router), logits(expected.router));
  EXPECT_EQ(io::read_text(folder / "own-samples.safetensors"),
            io::read_text(whole / "own-samples.safetensors"));
}

TEST(OwnSamples, OptionsChangeThemAndOthersAreRefused) {
  const auto base = logits(train(tiny_options(), test::scratch(), nullptr).router);
  using Change = std::function<void(RouterTrainingOptions&)>;
  const std::vector<std::pair<std::string, Change>> changes{
      {"own_samples", [](auto& o) { o.own_samples.count = 5; }},
      {"own_guidance", [](auto& o) { o.own_samples.guidance = 4; }},
      {"seed", [](auto& o) { o.seed = 3; }},
  };
  for (const auto& [name, change] : changes) {
    auto options = tiny_options();
    change(options);
    const auto folder = test::scratch();
    EXPECT_NE(logits(train(options, folder, nullptr).router), base) << name;
    // Own samples without a checkpoint: a training that was stopped while it made them.
    for (const auto& entry : fs::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with("checkpoint-")) fs::remove(entry.path());
    }
    EXPECT_THAT(
        [&] { train(tiny_options(), folder, nullptr); },
        ThrowsMessage<InputError>(AllOf(HasSubstr("were made otherwise"), HasSubstr(name))));
  }
}

// Stopped while it made them: one part of two is there.
fs::path stopped_after_a_part() {
  const auto folder = scratch();
  std::stop_source source;
  EXPECT_THROW(
      RouterTrainer(tiny_model(), nullptr, tiny_options(), folder)
          .run([&](const TrainingProgress&) { source.request_stop(); }, source.get_token()),
      Cancelled);
  return folder;
}

TEST(OwnSamples, DamagedPartsAreMadeAgain) {
  const auto expected = logits(train(tiny_options(), scratch(), nullptr).router);
  const std::vector<std::function<void(const fs::path&)>> harms{
      damage, [](const fs::path& file) { fs::resize_file(file, 20); }};
  for (const auto& harm : harms) {
    const auto folder = stopped_after_a_part();
    harm(folder / "own-samples/part-00000000.safetensors");
    const LogCapture log;
    EXPECT_EQ(logits(train(tiny_options(), folder, nullptr).router), expected);
    EXPECT_THAT(log.warnings,
                AllOf(HasSubstr("part-00000000.safetensors"), HasSubstr("are made again")));
    EXPECT_FALSE(fs::exists(folder / "own-samples"));
  }
}

TEST(OwnSamples, ADamagedFileIsMadeAgain) {
  const auto whole = scratch();
  const auto expected = logits(train(tiny_options(), whole, nullptr).router);
  const auto folder = scratch();
  stop_after(5, tiny_options(), folder, nullptr);  // trained on already
  const auto file = folder / "own-samples.safetensors";
  damage(file);
  const LogCapture log;
  EXPECT_EQ(logits(train(tiny_options(), folder, nullptr).router), expected);
  EXPECT_THAT(log.warnings, HasSubstr("the content does not match its checksum"));
  EXPECT_EQ(io::read_text(file), io::read_text(whole / "own-samples.safetensors"));
  EXPECT_TRUE(fs::exists(folder / "own-samples.safetensors.damaged"));
}

TEST(OwnSamples, OthersThanThoseTrainedOnAreRefused) {
  const auto folder = scratch();
  stop_after(5, tiny_options(), folder, nullptr);
  const auto path = folder / "own-samples.safetensors";
  {  // As another machine would make them: whole, and of the same settings.
    const auto file = io::SafetensorsFile::open(path);
    io::TensorMap tensors = file.tensors();
    tensors["latents"] = tensors["latents"] + 1e-6;
    io::Metadata metadata = file.metadata();
    metadata["checksum"] = io::content_checksum(tensors, metadata);
    io::write_safetensors(path, tensors, metadata);
  }
  EXPECT_THAT([&] { train(tiny_options(), folder, nullptr); },
              ThrowsMessage<InputError>(HasSubstr("not those that its training went on")));
}

TEST(OwnSamples, PartsLeftBesideTheFileAreRemoved) {
  const auto folder = scratch();
  stop_after(5, tiny_options(), folder, nullptr);
  fs::create_directories(folder / "own-samples");
  std::ofstream(folder / "own-samples/part-00000000.safetensors") << "half";
  train(tiny_options(), folder, nullptr);
  EXPECT_FALSE(fs::exists(folder / "own-samples"));
}

TEST(OwnSamples, AFileInThePlaceOfTheirFolderIsAnError) {
  const auto folder = scratch();
  std::ofstream(folder / "own-samples") << "x";
  EXPECT_THAT([&] { train(tiny_options(), folder, nullptr); },
              ThrowsMessage<InputError>(HasSubstr("own-samples': ")));
}

}  // namespace
}  // namespace l2c
