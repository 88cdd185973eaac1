#include "l2c/evaluation/sample_set.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <stop_token>
#include <thread>
#include <vector>

#include "evaluation_support.h"
#include "l2c/cache/policies.h"
#include "l2c/cache/pricing.h"
#include "l2c/core/build_info.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/io/claim.h"
#include "l2c/io/folder_lock.h"
#include "l2c/io/npz.h"
#include "l2c/io/safetensors.h"
#include "l2c/ops/cpu_isa.h"
#include "support/golden.h"
#include "support/models.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using test::small_options;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

SampleSet sample(const SampleSetOptions& options, const fs::path& folder) {
  return SampleSet::sample(test::pixel_pipeline(), options, folder);
}

// Collects the library's warnings while it lives.
struct Warnings {
  Warnings() {
    set_log_handler([this](LogLevel level, std::string_view message) {
      if (level == LogLevel::warning) messages.emplace_back(message);
    });
  }
  ~Warnings() { set_log_handler({}); }
  Warnings(const Warnings&) = delete;
  Warnings& operator=(const Warnings&) = delete;
  std::vector<std::string> messages;
};

void expect_same_images(const SampleSet& a, const SampleSet& b) {
  test::expect_equal(test::all_images(a).images, test::all_images(b).images, "images");
  test::expect_equal(test::all_images(a).labels, test::all_images(b).labels, "labels");
  EXPECT_EQ(a.fingerprint(), b.fingerprint());
}

// Samples until `images` are done, then stops. Returns the message.
std::string cancel_after(std::int64_t images, const SampleSetOptions& options,
                         const fs::path& folder) {
  std::stop_source source;
  try {
    (void)SampleSet::sample(
        test::pixel_pipeline(), options, folder,
        [&](const SampleSetProgress& progress) {
          if (progress.images >= images) source.request_stop();
        },
        source.get_token());
  } catch (const Cancelled& cancelled) {
    return cancelled.what();
  }
  return "";
}

TEST(SampleSet, HoldsThePicturesOfOneLongRun) {
  const auto pipeline = test::pixel_pipeline();
  const auto set = SampleSet::sample(pipeline, small_options(), test::scratch());
  EXPECT_EQ(set.size(), 20);
  EXPECT_EQ(set.shards(), 3);
  auto request = test::small_request();
  for (int i = 0; i < 20; ++i) request.labels.push_back(i % test::classes);
  const auto whole = pipeline.sample(request);
  const auto [images, labels] = test::all_images(set);
  ASSERT_EQ(images.sizes(), (at::IntArrayRef{20, 1, 8, 8}));
  for (std::int64_t i = 0; i < 20; ++i) {
    const auto& picture = whole.images[static_cast<std::size_t>(i)];
    const auto bytes = images[i].contiguous();
    const auto* first = bytes.const_data_ptr<std::uint8_t>();
    EXPECT_EQ(std::vector<std::uint8_t>(first, first + 64), picture.bitmap.pixels) << i;
    EXPECT_EQ(labels[i].item<int>(), picture.label) << i;
  }
  // A picture, not a flat field.
  EXPECT_GT(images.to(at::kFloat).std().item<double>(), 10);
}

TEST(SampleSet, KeepsWhatIsThere) {
  const auto folder = test::scratch();
  const auto first = sample(small_options(), folder);
  std::vector<fs::file_time_type> times;
  for (const auto& name : test::names_in(folder))
    times.push_back(fs::last_write_time(folder / name));
  std::vector<SampleSetProgress> seen;
  const auto second =
      SampleSet::sample(test::pixel_pipeline(), small_options(), folder,
                        [&](const SampleSetProgress& progress) { seen.push_back(progress); });
  ASSERT_EQ(seen.size(), 1U);
  EXPECT_EQ(seen[0].found, 20);
  EXPECT_EQ(seen[0].images, 20);
  expect_same_images(first, second);
  // The seconds are those of the sampling, not of the second look.
  EXPECT_EQ(first.cost().denoise_seconds, second.cost().denoise_seconds);
  std::size_t k = 0;
  for (const auto& name : test::names_in(folder)) {
    EXPECT_EQ(fs::last_write_time(folder / name), times[k++]);
  }
}

TEST(SampleSet, CancelledItGoesOnToTheSameBits) {
  const auto folder = test::scratch();
  const auto message = cancel_after(8, small_options(), folder);
  EXPECT_THAT(message, AllOf(HasSubstr("8 of 20 images"), HasSubstr(folder.string())));
  EXPECT_THAT(test::names_in(folder), ElementsAre("lock", "shard-00000.safetensors"));
  // In the middle of a shard: what is finished stays.
  EXPECT_THAT(cancel_after(10, small_options(), folder), HasSubstr("8 of 20 images"));
  std::int64_t found = -1;
  const auto resumed =
      SampleSet::sample(test::pixel_pipeline(), small_options(), folder,
                        [&](const SampleSetProgress& progress) { found = progress.found; });
  EXPECT_EQ(found, 8);
  expect_same_images(resumed, sample(small_options(), test::scratch()));
}

TEST(SampleSet, MakesUpForALostShard) {
  const auto folder = test::scratch();
  const auto before = sample(small_options(), folder);
  const auto images = test::all_images(before).images;
  fs::remove(folder / "shard-00001.safetensors");
  const auto after = sample(small_options(), folder);
  test::expect_equal(test::all_images(after).images, images, "images");
}

TEST(SampleSet, SamplesDamagedShardsAgainWithAWarning) {
  const auto folder = test::scratch();
  const auto images = test::all_images(sample(small_options(), folder)).images;
  const auto file = folder / "shard-00001.safetensors";
  const auto size = static_cast<std::streamoff>(fs::file_size(file));
  const std::vector<std::function<void()>> damages{
      [&] { fs::resize_file(file, fs::file_size(file) - 7); },
      [&] {  // one pixel
        std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
        stream.seekp(size - 100);
        stream.put('\x55');
      },
      [&] { std::ofstream(file) << "no tensors"; },
      [&] {
        io::write_safetensors(file, {{"images", at::zeros({1})}, {"labels", at::zeros({1})}});
      },
  };
  for (const auto& damage : damages) {
    damage();
    const Warnings warnings;
    const auto repaired = sample(small_options(), folder);
    ASSERT_EQ(warnings.messages.size(), 1U);
    EXPECT_THAT(warnings.messages[0],
                AllOf(HasSubstr("sampled again"), HasSubstr("shard-00001.safetensors")));
    test::expect_equal(test::all_images(repaired).images, images, "images");
  }
}

TEST(SampleSet, NoticesDamageWhileItIsInUse) {
  const auto folder = test::scratch();
  const auto set = sample(small_options(), folder);
  auto other = small_options();
  other.request.seed = 4;
  const auto elsewhere = test::scratch();
  (void)sample(other, elsewhere);
  fs::copy_file(elsewhere / "shard-00001.safetensors", folder / "shard-00001.safetensors",
                fs::copy_options::overwrite_existing);
  EXPECT_NO_THROW((void)set.images(0));
  EXPECT_THAT([&] { (void)set.images(1); },
              testing::ThrowsMessage<InputError>(HasSubstr("replaced while it was in use")));
  EXPECT_THAT([&] { (void)set.images(3); },
              testing::ThrowsMessage<InputError>(HasSubstr("shard 3: the set has 3")));
}

// What setting each change is told as.
struct Change {
  const char* name;
  std::function<void(SampleSetOptions&)> make;
};

TEST(SampleSet, RefusesAFolderOfOtherSettings) {
  const auto folder = test::scratch();
  (void)sample(small_options(8), folder);
  const std::vector<Change> changes{
      {"seed: 3 in the folder, 4 now", [](auto& o) { o.request.seed = 4; }},
      {"steps: 6 in the folder, 5 now", [](auto& o) { o.request.steps = 5; }},
      {"spacing: 6 in the folder, 3,3 now",
       [](auto& o) {
         o.request.steps.reset();
         o.request.spacing = "3,3";
       }},
      {"guidance: 2 in the folder, 3 now", [](auto& o) { o.request.guidance = 3; }},
      {"guidance_channels: three in the folder, all now",
       [](auto& o) { o.request.guidance_channels = GuidanceChannels::all; }},
      {"sampler: ddim in the folder, ddpm now",
       [](auto& o) { o.request.sampler = SamplerKind::ddpm; }},
      {"eta: 0 in the folder, 0.5 now", [](auto& o) { o.request.eta = 0.5; }},
      {"batch_size: 4 in the folder, 5 now", [](auto& o) { o.request.batch_size = 5; }},
      {"batches_per_shard: 2 in the folder, 3 now", [](auto& o) { o.batches_per_shard = 3; }},
      {"device: cpu in the folder, cuda now", [](auto& o) { o.device = "cuda:1"; }},
      {"policy: compute all in the folder, every 2 now",
       [](auto& o) {
         o.policy = "every 2";
         o.request.cache = std::make_shared<EveryN>(2);
       }},
  };
  for (const auto& change : changes) {
    auto options = small_options(8);
    change.make(options);
    EXPECT_THAT([&] { (void)sample(options, folder); },
                testing::ThrowsMessage<InputError>(
                    AllOf(HasSubstr(change.name), HasSubstr(folder.string()))));
  }
  EXPECT_THAT([&] { (void)SampleSet::sample(test::pixel_pipeline(2), small_options(8), folder); },
              testing::ThrowsMessage<InputError>(HasSubstr("model: ")));
  EXPECT_THAT(test::names_in(folder), ElementsAre("lock", "shard-00000.safetensors"));
}

TEST(SampleSet, SettingsSayWhatComputes) {
  auto options = small_options();
  const auto one = sample_set_settings(test::pixel_pipeline(), options).to_json();
  EXPECT_THAT(one, HasSubstr(fmt::format("\"instruction_set\":\"{}\"", ops::name(ops::cpu_isa()))));
  EXPECT_THAT(one, HasSubstr(fmt::format("\"libtorch_instruction_set\":\"{}\"",
                                         build_info().cpu_capability)));
  EXPECT_THAT(one, AllOf(HasSubstr("\"device\":\"cpu\""), HasSubstr("\"dtype\":\"fp32\"")));
  options.device = "cuda";
  const auto cuda = sample_set_settings(test::pixel_pipeline(), options);
  options.device = "cuda:1";  // processes that share may each have a GPU of their own
  EXPECT_EQ(cuda, sample_set_settings(test::pixel_pipeline(), options));
}

TEST(SampleSet, TellsOtherSettingsWithoutSampling) {
  const auto folder = test::scratch() / "set";
  const auto pipeline = test::pixel_pipeline();
  EXPECT_NO_THROW(SampleSet::check(pipeline, small_options(8), folder));
  EXPECT_FALSE(fs::exists(folder));
  (void)sample(small_options(20), folder);
  EXPECT_NO_THROW(SampleSet::check(pipeline, small_options(20), folder));
  auto other = small_options(20);
  other.request.guidance = 3;
  const auto check = [&] { SampleSet::check(pipeline, other, folder); };
  EXPECT_THAT(check,
              testing::ThrowsMessage<InputError>(HasSubstr("guidance: 2 in the folder, 3 now")));
  // Also where the first shard is lost or damaged: that says nothing.
  fs::remove(folder / "shard-00000.safetensors");
  std::ofstream(folder / "shard-00001.safetensors") << "no tensors";
  EXPECT_THAT(check, testing::ThrowsMessage<InputError>(HasSubstr("guidance: 2 in the folder")));
  fs::remove(folder / "shard-00002.safetensors");
  EXPECT_NO_THROW(check());
}

TEST(SampleSet, IsMadeByOneAtATime) {
  const auto folder = test::scratch();
  {
    const io::FolderLock somebody(folder, "folder", "another evaluation");
    EXPECT_THAT([&] { (void)sample(small_options(), folder); },
                testing::ThrowsMessage<InputError>(AllOf(
                    HasSubstr("another evaluation is running in"), HasSubstr(folder.string()))));
    EXPECT_THAT(test::names_in(folder), ElementsAre("lock"));
  }
  // While it samples, nobody else gets in.
  (void)SampleSet::sample(
      test::pixel_pipeline(), small_options(), folder,
      [&](const SampleSetProgress&) { EXPECT_FALSE(io::FolderLock::attempt(folder, "folder")); });
  EXPECT_TRUE(io::FolderLock::attempt(folder, "folder"));
}

TEST(SampleSet, IsMadeByManyWhoShare) {
  const auto alone = sample(small_options(), test::scratch());
  const auto folder = test::scratch();
  auto options = small_options();
  options.batches_per_shard = 1;  // 5 shards
  options.share = true;
  std::atomic<int> sampled = 0;
  const auto work = [&] {
    const auto set =
        SampleSet::sample(test::pixel_pipeline(), options, folder,
                          [last = std::int64_t{0}, found = std::int64_t{0},
                           &sampled](const SampleSetProgress& at) mutable {
                            if (at.images % 4 == 0 && at.images > last && at.found == found) {
                              ++sampled;
                            }
                            last = at.images;
                            found = at.found;
                          });
    EXPECT_EQ(set.size(), 20);
    EXPECT_EQ(set.fingerprint(), alone.fingerprint());
  };
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 3; ++i) threads.emplace_back(work);
  }
  EXPECT_EQ(sampled, 5) << "each shard once";
  EXPECT_THAT(test::names_in(folder),
              ElementsAre("claims", "lock", "settings.json", "shard-00000.safetensors",
                          "shard-00001.safetensors", "shard-00002.safetensors",
                          "shard-00003.safetensors", "shard-00004.safetensors"));
}

TEST(SampleSet, ThoseWhoShareWaitForOneAnother) {
  const auto folder = test::scratch();
  auto options = small_options(8);
  options.share = true;
  std::ofstream(folder / "shard-00000.safetensors.abc123.partial") << "half";
  auto claim = io::Claim::attempt(folder / "claims", 0);  // somebody samples the only shard
  ASSERT_TRUE(claim);
  std::jthread other([&] { EXPECT_EQ(sample(options, folder).size(), 8); });
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_FALSE(fs::exists(folder / "shard-00000.safetensors"));
  claim.reset();  // he fails
  other.join();
  EXPECT_THAT(test::names_in(folder),
              ElementsAre("claims", "lock", "settings.json", "shard-00000.safetensors"));
}

TEST(SampleSet, ThoseWhoShareMustWantTheSame) {
  const auto folder = test::scratch();
  auto options = small_options(20);
  options.share = true;
  auto fewer = options;
  fewer.images = 10;  // its last shard would be a part of a shard of the others
  int refusals = 0;
  const auto set =
      SampleSet::sample(test::pixel_pipeline(), options, folder, [&](const SampleSetProgress& at) {
        if (at.images % 8 != 0) return;
        ++refusals;
        EXPECT_THAT([&] { (void)sample(fewer, folder); },
                    testing::ThrowsMessage<InputError>(
                        AllOf(HasSubstr("others share"), HasSubstr(folder.string()),
                              HasSubstr("images: 20 in the folder, 10 now"))));
      });
  EXPECT_GT(refusals, 1);
  EXPECT_EQ(set.fingerprint(), sample(small_options(20), test::scratch()).fingerprint());
  // When they are gone, anybody may begin anew, and those who come then must want that.
  EXPECT_EQ(sample(fewer, folder).size(), 10);
  const auto others = io::FolderLock::shared(folder, "folder", "another evaluation");
  EXPECT_EQ(sample(fewer, folder).size(), 10);
  EXPECT_THROW((void)sample(options, folder), InputError);
  std::ofstream(folder / "settings.json") << "no settings";
  EXPECT_THAT([&] { (void)sample(fewer, folder); },
              testing::ThrowsMessage<InputError>(HasSubstr("they do not say which")));
}

TEST(SampleSet, NoticesAShardOfAnotherSize) {
  const auto folder = test::scratch();
  const auto other = test::scratch();
  (void)sample(small_options(10), other);
  const auto replace = [&](const SampleSetProgress& at) {
    if (at.images < 20) return;
    fs::copy_file(other / "shard-00001.safetensors", folder / "shard-00001.safetensors",
                  fs::copy_options::overwrite_existing);
  };
  EXPECT_THAT(
      [&] { (void)SampleSet::sample(test::pixel_pipeline(), small_options(20), folder, replace); },
      testing::ThrowsMessage<InputError>(
          AllOf(HasSubstr("shard-00001.safetensors"),
                HasSubstr("holds 2 images from number 8 on instead of 8 from 8"))));
}

TEST(SampleSet, SharingStopsWhileItWaits) {
  const auto folder = test::scratch();
  auto options = small_options(8);
  options.share = true;
  const auto claim = io::Claim::attempt(folder / "claims", 0);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(
      (void)SampleSet::sample(test::pixel_pipeline(), options, folder, {}, stop.get_token()),
      Cancelled);
}

TEST(SampleSet, SharesOnlyWithThoseWhoShare) {
  const auto folder = test::scratch();
  auto options = small_options(8);
  options.share = true;
  (void)sample(options, folder);
  {
    const auto shared = io::FolderLock::shared(folder, "folder", "another evaluation");
    EXPECT_NO_THROW((void)sample(options, folder));
    EXPECT_THROW((void)sample(small_options(8), folder), InputError);
  }
  const io::FolderLock alone(folder, "folder", "another evaluation");
  EXPECT_THAT([&] { (void)sample(options, folder); },
              testing::ThrowsMessage<InputError>(HasSubstr("does not share")));
}

TEST(SampleSet, IsWrittenAsAdmsNpz) {
  const auto set = sample(small_options(), test::scratch());
  const auto [images, labels] = test::all_images(set);
  const auto path = test::scratch() / "samples.npz";
  write_npz(path, set);
  const auto file = io::NpzFile::open(path);
  EXPECT_THAT(file.names(), ElementsAre("arr_0", "arr_1"));
  test::expect_equal(file.tensor("arr_0"), images.expand({20, 3, 8, 8}).permute({0, 2, 3, 1}),
                     "arr_0");
  test::expect_equal(file.tensor("arr_1"), labels, "arr_1");
}

TEST(SampleSet, ClearsWhatAKilledCallLeft) {
  const auto folder = test::scratch();
  std::ofstream(folder / "shard-00001.safetensors.abc123.partial") << "half";
  std::ofstream(folder / "mine.png.abc123.partial") << "not of a sample set";
  (void)sample(small_options(8), folder);
  EXPECT_THAT(test::names_in(folder),
              ElementsAre("lock", "mine.png.abc123.partial", "shard-00000.safetensors"));
}

TEST(SampleSet, GrowsAndShrinksWithTheNumberOfImages) {
  const auto folder = test::scratch();
  const auto small = sample(small_options(10), folder);
  const auto large = sample(small_options(20), folder);
  EXPECT_EQ(large.size(), 20);
  expect_same_images(large, sample(small_options(20), test::scratch()));
  const auto shrunk = sample(small_options(10), folder);
  EXPECT_EQ(shrunk.size(), 10);
  EXPECT_EQ(shrunk.fingerprint(), sample(small_options(10), test::scratch()).fingerprint());
  EXPECT_NE(shrunk.fingerprint(), large.fingerprint());
}

TEST(SampleSet, AddsUpWhatItCost) {
  const auto pipeline = test::pixel_pipeline();
  auto options = small_options();
  options.policy = "every 2";
  options.request.cache = std::make_shared<EveryN>(2);
  auto request = options.request;
  request.labels = {0};
  const auto price = l2c::price(pipeline.plan(request).value(), pipeline.cost());
  const auto cost = SampleSet::sample(pipeline, options, test::scratch()).cost();
  EXPECT_EQ(cost.steps, 6);
  EXPECT_EQ(cost.computed, price.computed);
  EXPECT_EQ(cost.reused, price.reused);
  EXPECT_NEAR(cost.ideal_speedup, price.ideal_speedup, 1e-12);
  EXPECT_EQ(cost.cache_bytes, price.cache_bytes);
  EXPECT_GT(cost.denoise_seconds, 0);
}

TEST(SampleSet, ReportsImagesAsTheyCome) {
  std::vector<std::int64_t> seen;
  (void)SampleSet::sample(test::pixel_pipeline(), small_options(), test::scratch(),
                          [&](const SampleSetProgress& progress) {
                            EXPECT_EQ(progress.of, 20);
                            EXPECT_EQ(progress.found, 0);
                            seen.push_back(progress.images);
                          });
  EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
  EXPECT_EQ(seen.front(), 0);
  EXPECT_EQ(seen.back(), 20);
  EXPECT_THAT(seen, testing::AllOf(testing::Contains(8), testing::Contains(16)));
  EXPECT_GT(seen.size(), 20U);
}

TEST(SampleSet, RefusesWhatCannotBeSampledBeforeMakingTheFolder) {
  const auto folder = test::scratch() / "new";
  const auto refuses = [&](const Pipeline& pipeline, SampleSetOptions options, const char* says) {
    EXPECT_THAT([&] { (void)SampleSet::sample(pipeline, options, folder); },
                testing::ThrowsMessage<InputError>(HasSubstr(says)));
    EXPECT_FALSE(fs::exists(folder));
  };
  const auto pipeline = test::pixel_pipeline();
  refuses(pipeline, small_options(0), "0 images");
  auto options = small_options();
  options.batches_per_shard = 0;
  refuses(pipeline, options, "0 micro-batches a shard");
  options = small_options();
  options.request.batch_size = 0;
  refuses(pipeline, options, "batch size 0");
  options = small_options();
  options.request.cache =
      std::make_shared<LearnedRouter>(Router(8, 4, std::vector<float>(32)), 0.5);
  refuses(pipeline, options, "trained for 8 steps");
  options = small_options(2'000'000);
  options.request.batch_size = 600'000;
  refuses(pipeline, options, "1200000 images at once: 1000000 are the most");
  options = small_options();
  options.request.sampler = SamplerKind::folder;
  refuses(pipeline, options, "choose ddim or ddpm");
  refuses(Pipeline(test::tiny_model()), small_options(), "latents of 4 channels");
  std::ofstream(folder.parent_path() / "file") << "in the way";
  const auto in_file = folder.parent_path() / "file" / "set";
  EXPECT_THAT([&] { (void)SampleSet::sample(pipeline, small_options(), in_file); },
              testing::ThrowsMessage<InputError>(HasSubstr("cannot make the folder")));
}

}  // namespace
}  // namespace l2c
