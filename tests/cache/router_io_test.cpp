#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "cache/support.h"
#include "l2c/cache/router.h"
#include "l2c/core/error.h"
#include "l2c/core/torch.h"
#include "l2c/io/safetensors.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/pickle_programs.h"

namespace l2c {
namespace {

using test::message_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

std::string load_message(const fs::path& path) {
  return message_of<InputError>([&] { Router::load(path); });
}

void expect_same_logits(const Router& actual, const Router& expected) {
  ASSERT_EQ(actual.rows(), expected.rows());
  ASSERT_EQ(actual.units(), expected.units());
  for (int row = 0; row < actual.rows(); ++row) {
    for (int unit = 0; unit < actual.units(); ++unit) {
      EXPECT_EQ(actual.logit(row, unit), expected.logit(row, unit));
      EXPECT_EQ(actual.score(row, unit), expected.score(row, unit));
    }
  }
}

// A file in our format, with some of it changed.
fs::path write_own(const io::Metadata& changes, at::Tensor logits = at::zeros({3, 4}),
                   const std::string& tensor = "logits") {
  io::Metadata metadata = {{"format", "l2c-router"}, {"version", "1"}, {"steps", "3"}};
  for (const auto& [key, value] : changes) metadata[key] = value;
  fs::path path = test::scratch() / "router.safetensors";
  io::write_safetensors(path, {{tensor, std::move(logits)}}, metadata);
  return path;
}

void truncate(const fs::path& from, const fs::path& to, std::uintmax_t size) {
  fs::copy_file(from, to);
  fs::permissions(to, fs::perms::owner_write, fs::perm_options::add);
  fs::resize_file(to, size);
}

TEST(RouterFile, IsRecognised) {
  EXPECT_TRUE(Router::recognises(test::data("l2c/router_random.pt")));
  EXPECT_TRUE(Router::recognises(write_own({})));
  EXPECT_FALSE(Router::recognises(test::data("dit_tiny/weights.safetensors")));
  EXPECT_FALSE(Router::recognises(test::data("dit_tiny/train_checkpoint.pt")));
  EXPECT_FALSE(Router::recognises(test::data("dit_tiny/config.json")));
  EXPECT_THAT(message_of<InputError>([] { (void)Router::recognises(test::scratch()); }),
              HasSubstr("directory"));
}

TEST(RouterFile, RoundTripKeepsEverything) {
  RouterInfo info;
  info.model_fingerprint = "0123456789abcdef0123456789abcdef";
  info.spacing = "20";
  info.sampler = "ddim";
  info.threshold = 0.1;
  info.lambda = 5e-6;
  info.training = "50000 steps of 64, lr 0.01 \xe2\x80\x94 \"quoted\"";
  const Router router = test::random_router(20, 8, 1, info);
  const fs::path path = test::scratch() / "all.safetensors";
  router.save(path);
  const Router read = Router::load(path);
  expect_same_logits(read, router);
  EXPECT_EQ(read.info(), info);
  EXPECT_EQ(read.source(), path.string());
}

TEST(RouterFile, RoundTripKeepsWhatIsUnknownUnknown) {
  const fs::path path = test::scratch() / "little.safetensors";
  test::random_router(5, 4, 2).save(path);
  EXPECT_EQ(Router::load(path).info(), RouterInfo());
  const io::Metadata expected = {{"format", "l2c-router"}, {"version", "1"}, {"steps", "5"}};
  EXPECT_EQ(io::SafetensorsFile::open(path).metadata(), expected);
}

// A reader that knows version 1 only would use such a router by the published rule.
TEST(RouterFile, AnotherRuleIsVersion2) {
  const fs::path path = test::scratch() / "rule.safetensors";
  RouterInfo info;
  info.group = 3;
  test::random_router(6, 4, 2, info).save(path);
  EXPECT_EQ(io::SafetensorsFile::open(path).metadata().at("version"), "2");
  EXPECT_EQ(Router::load(path).info().group, 3);
  info = {};
  info.recall = "taylor:1";
  test::random_router(6, 4, 2, info).save(path);
  EXPECT_EQ(io::SafetensorsFile::open(path).metadata().at("version"), "2");
  EXPECT_EQ(Router::load(path).info().recall, "taylor:1");
}

TEST(RouterFile, EqualRoutersGiveEqualFiles) {
  const fs::path folder = test::scratch();
  test::random_router(5, 4, 3).save(folder / "a.safetensors");
  test::random_router(5, 4, 3).save(folder / "b.safetensors");
  EXPECT_EQ(io::read_text(folder / "a.safetensors"), io::read_text(folder / "b.safetensors"));
}

TEST(RouterFile, StepsMayBeAbsent) {
  const fs::path path = test::scratch() / "router.safetensors";
  io::write_safetensors(path, {{"logits", at::zeros({3, 4})}},
                        {{"format", "l2c-router"}, {"version", "1"}});
  EXPECT_EQ(Router::load(path).rows(), 3);
}

TEST(RouterFile, RejectsMetadataThatDisagrees) {
  EXPECT_THAT(
      load_message(write_own({{"steps", "20"}})),
      AllOf(HasSubstr("router.safetensors"), HasSubstr("steps is 20"), HasSubstr("has 3 rows")));
  EXPECT_THAT(load_message(write_own({{"steps", "three"}})),
              HasSubstr("steps is 'three', not a number"));
  EXPECT_THAT(load_message(write_own({{"threshold", "0.1x"}})),
              HasSubstr("threshold is '0.1x', not a number"));
  EXPECT_THAT(load_message(write_own({{"threshold", "1.5"}})),
              HasSubstr("threshold is 1.5, outside [0, 1]"));
  EXPECT_THAT(load_message(write_own({{"lambda", ""}})), HasSubstr("lambda is '', not a number"));
  EXPECT_THAT(load_message(write_own({{"lambda", "nan"}})),
              HasSubstr("lambda is 'nan', not a number"));
  EXPECT_THAT(load_message(write_own({{"version", "3"}})),
              AllOf(HasSubstr("version '3'"), HasSubstr("reads versions 1 and 2")));
  EXPECT_THAT(load_message(write_own({{"version", "2"}, {"group", "1"}})),
              AllOf(HasSubstr("router.safetensors"), HasSubstr("group is 1")));
}

TEST(RouterFile, RejectsTensorsThatAreNoRouter) {
  EXPECT_THAT(load_message(write_own({}, at::zeros({3, 4}), "weights")),
              HasSubstr("holds no router"));
  EXPECT_THAT(load_message(write_own({{"format", "something"}})),
              AllOf(HasSubstr("holds no router"), HasSubstr("format 'something'")));
  EXPECT_THAT(load_message(write_own({}, at::zeros({3, 4}, at::kHalf))),
              AllOf(HasSubstr("dtype Half"), HasSubstr("expected F32 [rows, units]")));
  EXPECT_THAT(load_message(write_own({}, at::zeros({12}))), HasSubstr("has 1 dimensions"));
  EXPECT_THAT(load_message(write_own({}, at::zeros({3, 5}))), HasSubstr("must be an even number"));
  at::Tensor nan = at::zeros({3, 4});
  nan[2][1] = std::nan("");
  EXPECT_THAT(load_message(write_own({}, nan)),
              AllOf(HasSubstr("router.safetensors"), HasSubstr("row 2, unit 1 is nan")));
}

TEST(RouterFile, RejectsPathsWithoutAFile) {
  const fs::path folder = test::scratch();
  EXPECT_THAT(load_message(folder), AllOf(HasSubstr(folder.string()), HasSubstr("is a directory")));
  EXPECT_THAT(load_message(folder / "none.pt"),
              AllOf(HasSubstr("none.pt"), HasSubstr("No such file")));
}

TEST(RouterFile, RejectsCheckpoints) {
  EXPECT_THAT(load_message(test::data("dit_tiny/weights.safetensors")),
              AllOf(HasSubstr("weights.safetensors"), HasSubstr("holds no router")));
  EXPECT_THAT(load_message(test::data("dit_tiny/state_dict.pt")),
              AllOf(HasSubstr("state_dict.pt"), HasSubstr("holds no router"),
                    HasSubstr("neither an entry 'routers'")));
  EXPECT_THAT(load_message(test::data("dit_tiny/train_checkpoint.pt")),
              HasSubstr("holds no router but a model's checkpoint"));
}

TEST(RouterFile, RejectsGarbage) {
  const fs::path folder = test::scratch();
  std::ofstream(folder / "text.pt") << "this is a text and no router";
  EXPECT_THAT(load_message(folder / "text.pt"),
              AllOf(HasSubstr("text.pt"), HasSubstr("neither a file of torch.save")));
  std::ofstream(folder / "empty.pt").close();
  EXPECT_THAT(load_message(folder / "empty.pt"),
              AllOf(HasSubstr("empty.pt"), HasSubstr("neither a file of torch.save")));
}

// A safetensors file whose header has 128 bytes begins like a pickle.
TEST(RouterFile, IsToldApartByItsContent) {
  const fs::path path = test::scratch() / "router.pt";
  bool seen_128 = false;
  for (std::size_t length = 1; length < 300; length += 8) {
    RouterInfo info;
    info.training = std::string(length, 'x');
    Router(5, 4, std::vector<float>(20, 0.25F), info).save(path);
    seen_128 = seen_128 || io::read_text(path)[0] == '\x80';
    EXPECT_EQ(Router::load(path).info(), info);
  }
  EXPECT_TRUE(seen_128);
}

TEST(RouterFile, ReadsTheFormatBeforePyTorch16) {
  const fs::path path = test::scratch() / "old.pt";
  test::write_bytes(
      path, test::make_legacy({{"0.prob", at::full({4}, 0.5F)}, {"1.prob", at::full({4}, -2.0F)}}));
  const Router router = Router::load(path);
  EXPECT_EQ(router.rows(), 2);
  EXPECT_EQ(router.units(), 4);
  EXPECT_TRUE(Router::recognises(path));
}

TEST(RouterFile, RejectsTruncatedFiles) {
  const fs::path folder = test::scratch();
  const fs::path published = test::data("l2c/router_random.pt");
  truncate(published, folder / "cut.pt", fs::file_size(published) / 2);
  EXPECT_THAT(load_message(folder / "cut.pt"), HasSubstr("cut.pt"));
  const fs::path own = folder / "own.safetensors";
  test::random_router(20, 8, 4).save(own);
  truncate(own, folder / "cut.safetensors", fs::file_size(own) - 10);
  EXPECT_THAT(load_message(folder / "cut.safetensors"), HasSubstr("cut.safetensors"));
  truncate(own, folder / "stub.safetensors", 5);
  EXPECT_THAT(load_message(folder / "stub.safetensors"), HasSubstr("only the start of one"));
}

TEST(RouterFile, SavingSaysWhereItCannotWrite) {
  const Router router = test::random_router(2, 2, 5);
  EXPECT_THAT(
      message_of<InputError>([&] { router.save(test::scratch() / "no/such/r.safetensors"); }),
      HasSubstr("no/such"));
}

}  // namespace
}  // namespace l2c
