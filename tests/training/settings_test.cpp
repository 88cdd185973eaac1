#include "l2c/training/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "l2c/core/error.h"

namespace l2c {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TrainingSettings some_settings() {
  TrainingSettings settings;
  settings.add("learning_rate", 1e-4);
  settings.add("flip", true);
  settings.add("batch_size", std::int64_t{8});
  return settings;
}

TrainingSettings with(const std::string& name, const std::string& value) {
  TrainingSettings settings;
  settings.add(name, value);
  return settings;
}

TEST(TrainingSettings, ComeBackFromJson) {
  auto settings = some_settings();
  settings.note("data_description", "squares");
  const auto back = TrainingSettings::from_json(settings.to_json(), "x");
  EXPECT_EQ(back, settings);
  EXPECT_EQ(back.to_json(), settings.to_json());
  EXPECT_EQ(back.noted("data_description"), "squares");
  EXPECT_EQ(back.noted("flip"), std::nullopt);
  EXPECT_NE(back, with("learning_rate", "0.0001"));
  EXPECT_THAT([] { (void)TrainingSettings::from_json("[1]", "file.x"); },
              testing::ThrowsMessage<InputError>(HasSubstr("file.x")));
  for (const auto* json : {R"({"a": 1})", R"({"notes": {"a": 1}})"}) {
    EXPECT_THAT([&] { (void)TrainingSettings::from_json(json, "file.x"); },
                testing::ThrowsMessage<InputError>(HasSubstr("the setting a is not a text")));
  }
}

TEST(TrainingSettings, OneSidedNamesAreDifferences) {
  TrainingSettings more = some_settings();
  more.add("seed", std::string("7"));
  EXPECT_THAT(some_settings().differences(more), ElementsAre("seed: not in the checkpoint, 7 now"));
  EXPECT_THAT(more.differences(some_settings()),
              ElementsAre("seed: 7 in the checkpoint, unknown now"));
}

TEST(TrainingSettings, NotesAreNoDifferences) {
  TrainingSettings before = some_settings();
  TrainingSettings now = some_settings();
  before.note("path", "./data");
  now.note("path", "data");
  now.note("threads", "2");
  EXPECT_THAT(before.differences(now), IsEmpty());
  EXPECT_EQ(before, now);
  // A file from before it became a note.
  TrainingSettings old = some_settings();
  old.add("path", "/elsewhere");
  EXPECT_THAT(old.differences(now), IsEmpty());
  EXPECT_THAT(now.differences(old), IsEmpty());
  EXPECT_THAT(old.differences(some_settings()), ElementsAre(HasSubstr("path: /elsewhere")));
}

TEST(TrainingSettings, FieldsOfObjectsAreComparedOneByOne) {
  const auto old = with("model", R"({"depth":2,"mlp_ratio":4.0,"gone":"x"})");
  const auto now = with("model", R"({"depth": 3, "mlp_ratio": 4.0, "fresh": true})");
  EXPECT_THAT(old.differences(now), ElementsAre("model.depth: 2 in the checkpoint, 3 now",
                                                "model.gone: x in the checkpoint, unknown now",
                                                "model.fresh: not in the checkpoint, true now"));
  EXPECT_THAT(old.differences(with("model", "fingerprint")),
              ElementsAre(HasSubstr(R"("depth":2)")));
}

TEST(TrainingSettings, BytesThatAreNotUtf8AreReplaced) {
  TrainingSettings settings = with("data", "caf\xe9/\xff");
  settings.note("path", "caf\xe9");
  const auto back = TrainingSettings::from_json(settings.to_json(), "x");
  EXPECT_EQ(back, settings);
  EXPECT_EQ(back.noted("path"), "caf\xEF\xBF\xBD");
  EXPECT_EQ(with("data", "caf\xC3\xA9"), with("data", "café"));
}

}  // namespace
}  // namespace l2c
