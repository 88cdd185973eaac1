#include "l2c/training/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "l2c/core/error.h"
#include "l2c/core/log.h"
#include "router_support.h"
#include "support/golden.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using test::damage;
using testing::HasSubstr;

TrainingSettings some_settings(double rate = 1e-4) {
  TrainingSettings settings;
  settings.add("learning_rate", rate);
  settings.add("flip", true);
  settings.add("batch_size", std::int64_t{8});
  return settings;
}

io::TensorMap some_tensors(float value) {
  return {{"weights", at::full({3}, value)}, {"step", at::full({}, 4, at::kLong)}};
}

TEST(RunFolder, AFreshOneIsMadeAndHasNothing) {
  const auto path = test::scratch() / "a/b";
  const RunFolder folder(path);
  EXPECT_TRUE(fs::is_directory(path));
  EXPECT_FALSE(folder.load(some_settings()));
}

TEST(RunFolder, GivesBackWhatWasSaved) {
  RunFolder folder(test::scratch() / "run");
  folder.save(12, some_tensors(2.5F), some_settings(), {{"note", "x"}});
  const auto saved = folder.load(some_settings());
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->step, 12);
  EXPECT_EQ(saved->metadata.at("note"), "x");
  EXPECT_EQ(saved->tensor("step").item<std::int64_t>(), 4);
  EXPECT_THAT([&] { (void)saved->tensor("none"); },
              testing::ThrowsMessage<InputError>(HasSubstr("lacks none")));
  test::expect_equal(saved->tensors.at("weights"), at::full({3}, 2.5F), "weights");
  EXPECT_EQ(saved->tensors.at("step").item<std::int64_t>(), 4);
}

TEST(RunFolder, KeepsTheTwoNewest) {
  const auto path = test::scratch() / "run";
  RunFolder folder(path);
  for (const int step : {5, 10, 100, 1000}) {
    folder.save(step, some_tensors(static_cast<float>(step)), some_settings());
  }
  EXPECT_THAT(test::names_in(path),
              testing::ElementsAre("checkpoint-00000100.safetensors",
                                   "checkpoint-00001000.safetensors", "lock"));
  EXPECT_EQ(folder.load(some_settings())->step, 1000);
}

TEST(RunFolder, TakesTheOneBeforeADamagedOneAndSaysSo) {
  const auto path = test::scratch() / "run";
  RunFolder folder(path);
  folder.save(1, some_tensors(1), some_settings());
  folder.save(2, some_tensors(2), some_settings());
  damage(path / "checkpoint-00000002.safetensors");
  std::string warning;
  set_log_handler([&](LogLevel, std::string_view message) { warning = message; });
  const auto saved = folder.load(some_settings());
  set_log_handler({});
  ASSERT_TRUE(saved);
  EXPECT_EQ(saved->step, 1);
  EXPECT_THAT(warning, HasSubstr("checkpoint-00000002.safetensors"));
  EXPECT_THAT(warning, HasSubstr("does not match its checksum"));
  // The damaged one does not push the good one out.
  folder.save(2, some_tensors(2), some_settings());
  EXPECT_THAT(test::names_in(path), testing::IsSupersetOf({"checkpoint-00000001.safetensors",
                                                           "checkpoint-00000002.safetensors"}));
}

TEST(RunFolder, TruncatedCountsAsDamaged) {
  const auto path = test::scratch() / "run";
  RunFolder folder(path);
  folder.save(1, some_tensors(1), some_settings());
  folder.save(2, some_tensors(2), some_settings());
  fs::resize_file(path / "checkpoint-00000002.safetensors", 20);
  EXPECT_EQ(folder.load(some_settings())->step, 1);
}

TEST(RunFolder, RenamedCountsAsDamaged) {
  const auto path = test::scratch() / "run";
  RunFolder folder(path);
  folder.save(1, some_tensors(1), some_settings());
  folder.save(2, some_tensors(2), some_settings());
  fs::rename(path / "checkpoint-00000002.safetensors", path / "checkpoint-00000007.safetensors");
  const test::LogCapture log;
  EXPECT_EQ(folder.load(some_settings())->step, 1);
  EXPECT_THAT(log.warnings, HasSubstr("it is the checkpoint of step 2"));
}

TEST(RunFolder, AllDamagedIsAnError) {
  const auto path = test::scratch() / "run";
  RunFolder folder(path);
  folder.save(1, some_tensors(1), some_settings());
  damage(path / "checkpoint-00000001.safetensors");
  EXPECT_THAT([&] { (void)folder.load(some_settings()); },
              testing::ThrowsMessage<InputError>(HasSubstr("no checkpoint of the training")));
}

TEST(RunFolder, ListsSettingsThatDiffer) {
  RunFolder folder(test::scratch() / "run");
  folder.save(1, some_tensors(1), some_settings(1e-4));
  EXPECT_THAT([&] { (void)folder.load(some_settings(0.001)); },
              testing::ThrowsMessage<InputError>(
                  testing::AllOf(HasSubstr("learning_rate: 0.0001 in the checkpoint, 0.001 now"),
                                 testing::Not(HasSubstr("flip")))));
}

TEST(RunFolder, RefusesASecondTraining) {
  const auto path = test::scratch() / "run";
  const RunFolder folder(path);
  EXPECT_THAT([&] { RunFolder second(path); },
              testing::ThrowsMessage<InputError>(HasSubstr("another training is running in")));
}

TEST(RunFolder, TheLockEndsWithItsProcessHoweverThatEnds) {
  const auto path = test::scratch() / "run";
  const pid_t child = ::fork();
  if (child == 0) {
    const RunFolder folder(path);
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFSIGNALED(status));
  EXPECT_NO_THROW(RunFolder{path});
}

TEST(RunFolder, ClearsWhatAKilledSaveLeft) {
  const auto path = test::scratch() / "run";
  fs::create_directories(path);
  std::ofstream(path / "checkpoint-00000009.safetensors.abc123.partial") << "half";
  std::ofstream(path / "curve.csv.0vcf4r.partial") << "half";
  std::ofstream(path / "own-samples.safetensors.0vcf4r.partial") << "half";
  std::ofstream(path / "mine.partial") << "not ours";
  std::ofstream(path / "mine.csv.0vcf4r.partial") << "not ours";
  std::ofstream(path / "checkpoint-of-mine.pt.0vcf4r.partial") << "not ours";
  const RunFolder folder(path);
  EXPECT_THAT(test::names_in(path),
              testing::ElementsAre("checkpoint-of-mine.pt.0vcf4r.partial", "lock",
                                   "mine.csv.0vcf4r.partial", "mine.partial"));
}

TEST(RunFolder, AFileInItsPlaceIsAnError) {
  const auto path = test::scratch() / "file";
  std::ofstream(path) << "x";
  EXPECT_THAT([&] { RunFolder folder(path); },
              testing::ThrowsMessage<InputError>(HasSubstr("training folder")));
}

}  // namespace
}  // namespace l2c
