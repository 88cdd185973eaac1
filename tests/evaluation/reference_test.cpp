#include "l2c/evaluation/reference.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <thread>

#include "evaluation_support.h"
#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "l2c/io/folder_lock.h"
#include "l2c/io/safetensors.h"
#include "support/golden.h"

namespace l2c {
namespace {

using testing::HasSubstr;

at::Tensor doubles(const std::vector<double>& values) {
  return at::tensor(at::ArrayRef<double>(values), at::kDouble);
}

TEST(Reference, MeasuresAllImagesAndKeepsASpreadSubset) {
  const auto data = test::random_data(103);
  const test::QuadrantNetwork network;
  const auto reference = measure_reference(data, network, {.subset = 10, .batch_size = 25});
  std::vector<std::int64_t> numbers(103);
  for (std::size_t i = 0; i < numbers.size(); ++i) numbers[i] = static_cast<std::int64_t>(i);
  const auto all = data.batch(numbers);
  const auto features = network.extract(all.x);
  EXPECT_EQ(reference.gaussian.rows, 103);
  test::expect_close(doubles(reference.gaussian.mean), features.features.to(at::kDouble).mean(0),
                     1e-12, "reference mean");
  const auto centred =
      features.features.to(at::kDouble) - features.features.to(at::kDouble).mean(0);
  test::expect_close(doubles(reference.gaussian.covariance).reshape({4, 4}),
                     at::mm(centred.t(), centred) / 102, 1e-10, "reference covariance");
  const auto rows = at::tensor({0, 10, 20, 30, 41, 51, 61, 72, 82, 92}, at::kLong);
  test::expect_equal(reference.features, features.features.index_select(0, rows), "subset");
  EXPECT_EQ(reference.recognised,
            features.probabilities.argmax(1).eq(all.y).sum().item<std::int64_t>());
  EXPECT_EQ(reference.data, "random images");
  EXPECT_EQ(reference.data_fingerprint, "data");
  EXPECT_EQ(reference.network, "means of quadrants");
  EXPECT_EQ(reference.network_fingerprint, "quadrants");
  EXPECT_EQ(reference.channels, 1);
  EXPECT_EQ(reference.image_size, 8);
  EXPECT_EQ(reference.num_classes, 4);
}

TEST(Reference, KnowsWhatDataItIsOf) {
  const auto data = test::random_data(60);
  const auto info = data_info(measure_reference(data, test::QuadrantNetwork(), {.subset = 10}));
  EXPECT_EQ(info.description, data.info().description);
  EXPECT_EQ(info.fingerprint, data.info().fingerprint);
  EXPECT_EQ(info.size, 10) << "the features that are kept";
  EXPECT_EQ(info.channels, 1);
  EXPECT_EQ(info.image_size, 8);
  EXPECT_EQ(info.num_classes, 4);
}

TEST(Reference, KeepsAllOfASmallDataSet) {
  EXPECT_EQ(measure_reference(test::random_data(7), test::QuadrantNetwork()).features.size(0), 7);
}

TEST(Reference, ReportsAndStops) {
  std::vector<std::int64_t> seen;
  std::stop_source source;
  const auto measure = [&] {
    (void)measure_reference(
        test::random_data(50), test::QuadrantNetwork(), {.subset = 10, .batch_size = 20},
        [&](std::int64_t done, std::int64_t of) {
          EXPECT_EQ(of, 50);
          seen.push_back(done);
          if (done == 40) source.request_stop();
        },
        source.get_token());
  };
  EXPECT_THROW(measure(), Cancelled);
  EXPECT_THAT(seen, testing::ElementsAre(20, 40));
}

TEST(Reference, SavedAndLoadedIsTheSame) {
  const auto path = test::scratch() / "reference.safetensors";
  const auto saved = measure_reference(test::random_data(60), test::QuadrantNetwork());
  save_reference(path, saved);
  const auto loaded = load_reference(path);
  EXPECT_EQ(fingerprint(loaded), fingerprint(saved));
  EXPECT_EQ(loaded.gaussian.rows, 60);
  EXPECT_EQ(loaded.gaussian.mean, saved.gaussian.mean);
  EXPECT_EQ(loaded.gaussian.covariance, saved.gaussian.covariance);
  test::expect_equal(loaded.features, saved.features, "features");
  EXPECT_EQ(loaded.data, saved.data);
  EXPECT_EQ(loaded.network, saved.network);
  EXPECT_EQ(loaded.recognised, saved.recognised);
}

TEST(Reference, FingerprintFollowsTheContent) {
  const test::QuadrantNetwork network;
  const auto of = [&](const ReferenceStatistics& reference) { return fingerprint(reference); };
  const auto base = measure_reference(test::random_data(60), network);
  EXPECT_EQ(of(base), of(measure_reference(test::random_data(60), network)));
  EXPECT_NE(of(base), of(measure_reference(test::random_data(60, 6), network)));
  EXPECT_NE(of(base), of(measure_reference(test::random_data(60), network, {.subset = 20})));
  EXPECT_NE(of(base),
            of(measure_reference(test::random_data(60), test::QuadrantNetwork(4, "other"))));
}

TEST(Reference, KeptIsNotMeasuredAgain) {
  const auto folder = test::scratch() / "new";
  const test::QuadrantNetwork network;
  int measured = 0;
  const auto get = [&](const test::TensorData& data, std::int64_t subset) {
    int reports = 0;
    const auto reference = kept_reference(folder, data, network, {.subset = subset},
                                          [&](std::int64_t, std::int64_t) { ++reports; });
    if (reports > 0) ++measured;
    EXPECT_EQ(fingerprint(reference),
              fingerprint(measure_reference(data, network, {.subset = subset})));
  };
  get(test::random_data(60), 20);
  get(test::random_data(60), 20);
  EXPECT_EQ(measured, 1);
  EXPECT_THAT(test::names_in(folder),
              testing::ElementsAre("lock", "reference-data-quadrant.safetensors"));
  get(test::random_data(60), 30);
  EXPECT_EQ(measured, 2);
  std::ofstream(folder / "reference-data-quadrant.safetensors") << "damaged";
  std::string warning;
  set_log_handler([&](LogLevel, std::string_view message) { warning = message; });
  get(test::random_data(60), 30);
  set_log_handler({});
  EXPECT_EQ(measured, 3);
  EXPECT_THAT(warning, HasSubstr("measured again"));
}

TEST(Reference, RefusesDamagedAndOtherFiles) {
  const auto path = test::scratch() / "reference.safetensors";
  const auto refuses = [&](const char* says) {
    EXPECT_THAT([&] { (void)load_reference(path); },
                testing::ThrowsMessage<InputError>(
                    testing::AllOf(HasSubstr(path.string()), HasSubstr(says))));
  };
  io::write_safetensors(path, {{"mean", at::zeros({4})}});
  refuses("lacks \"data\"");
  auto reference = measure_reference(test::random_data(60), test::QuadrantNetwork());
  save_reference(path, reference);
  {
    std::fstream stream(path, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekp(-20, std::ios::end);
    stream.put('\x7');
  }
  refuses("does not match its fingerprint");
  const auto file = [&] { return io::SafetensorsFile::open(path); };
  save_reference(path, reference);
  auto metadata = file().metadata();
  metadata["images"] = "many";
  auto tensors = file().tensors();
  for (auto& [name, tensor] : tensors) tensor = tensor.clone();
  io::write_safetensors(path, tensors, metadata);
  refuses("\"images\" is \"many\", not a number");
  metadata["images"] = "60";
  tensors["mean"] = at::zeros({3}, at::kDouble);
  io::write_safetensors(path, tensors, metadata);
  refuses("expected \"mean\" f64 [D]");
}

TEST(Reference, RefusesWhatCannotBeMeasured) {
  const test::QuadrantNetwork network;
  EXPECT_THAT([&] { (void)measure_reference(test::random_data(1), network); },
              testing::ThrowsMessage<InputError>(HasSubstr("1 images are too few")));
  EXPECT_THAT([&] { (void)measure_reference(test::random_data(9), network, {.subset = 1}); },
              testing::ThrowsMessage<InputError>(HasSubstr("a subset of 1")));
  EXPECT_THAT([&] { (void)measure_reference(test::random_data(9), test::QuadrantNetwork(3)); },
              testing::ThrowsMessage<InputError>(HasSubstr("knows 3 classes, the images have 4")));
}

// A network whose answer is not what it must be.
class BadNetwork final : public test::QuadrantNetwork {
 public:
  explicit BadNetwork(Features answer) : answer_(std::move(answer)) {}
  [[nodiscard]] Features extract(const at::Tensor&) const override { return answer_; }

 private:
  Features answer_;
};

TEST(Reference, RefusesNetworksWithBadAnswers) {
  const auto good = at::full({9, 4}, 0.25);
  const auto refuses = [&](const at::Tensor& features, const at::Tensor& probabilities,
                           const char* says) {
    const BadNetwork network({.features = features, .probabilities = probabilities});
    EXPECT_THAT([&] { (void)measure_reference(test::random_data(9), network); },
                testing::ThrowsMessage<InputError>(HasSubstr(says)));
  };
  refuses(at::zeros({8, 4}), good, "gave features of shape [8, 4]; expected fp32 [9, at least 1]");
  refuses(at::zeros({9, 4}, at::kDouble), good, "gave features of shape [9, 4]");
  refuses(at::full({9, 4}, std::nan("")), good, "gave features that are not finite");
  refuses(at::zeros({9, 4}), {}, "gave probabilities of shape []");
}

TEST(Reference, ClearsWhatAKilledMeasurementLeft) {
  const auto folder = test::scratch();
  std::ofstream(folder / "reference-data-quadrant.safetensors.abc123.partial") << "half";
  std::ofstream(folder / "eval.json.abc123.partial") << "somebody else's";
  (void)kept_reference(folder, test::random_data(60), test::QuadrantNetwork());
  EXPECT_THAT(test::names_in(folder), testing::ElementsAre("eval.json.abc123.partial", "lock",
                                                           "reference-data-quadrant.safetensors"));
}

TEST(Reference, OfTwoThatMeasureAtATimeOneWaits) {
  const auto folder = test::scratch();
  const auto data = test::random_data(60);
  const test::QuadrantNetwork network;
  const auto kept = measure_reference(data, network);
  std::stop_source source;
  int measured = 0;
  const auto get = [&] {
    return kept_reference(
        folder, data, network, {}, [&](std::int64_t, std::int64_t) { ++measured; },
        source.get_token());
  };
  auto first = std::make_unique<io::FolderLock>(folder, "work folder", "another evaluation");
  std::thread finisher([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    save_reference(folder / "reference-data-quadrant.safetensors", kept);
    first.reset();
  });
  EXPECT_EQ(fingerprint(get()), fingerprint(kept));
  finisher.join();
  EXPECT_EQ(measured, 0);
  // Waiting ends when asked to.
  std::filesystem::remove(folder / "reference-data-quadrant.safetensors");
  const io::FolderLock somebody(folder, "work folder", "another evaluation");
  source.request_stop();
  EXPECT_THAT(get, testing::ThrowsMessage<Cancelled>(HasSubstr("waiting")));
}

TEST(Reference, TellsLibTorchsErrorsInOurTerms) {
  const auto data = test::random_data(9);
  EXPECT_THAT([&] { (void)measure_reference(data, test::BrokenNetwork(0)); },
              testing::ThrowsMessage<RunError>(test::our_libtorch_error()));
  EXPECT_THAT([&] { (void)measure_reference(data, test::BrokenNetwork(0, true)); },
              testing::ThrowsMessage<RunError>(HasSubstr("out of memory: try smaller batches")));
}

}  // namespace
}  // namespace l2c
