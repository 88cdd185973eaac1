#include "l2c/models/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stop_token>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/models/dit_source.h"
#include "models_support.h"
#include "support/byte_files.h"
#include "support/diffusers_folder.h"
#include "support/idx_files.h"
#include "support/messages.h"
#include "support/pickle_programs.h"

namespace l2c {
namespace {

namespace fs = std::filesystem;
using test::message_of;
using test::scratch;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string tiny_arch() { return test::data("dit_tiny/config.json").string(); }

// Opened without being told what it is.
std::shared_ptr<const DiT> load(const fs::path& path) {
  const DiTSource source = open_dit(path);
  return DiT::load(source.config, *source.weights);
}

void expect_tensors_of(const fs::path& path, const io::TensorMap& expected) {
  const auto file = io::SafetensorsFile::open(path);
  ASSERT_EQ(file.names().size(), expected.size());
  for (const auto& [name, tensor] : expected) test::expect_equal(file.tensor(name), tensor, name);
}

TEST(ConvertWeights, EveryWayOfStoringTheTinyModelBecomesTheOneFile) {
  const auto folder = scratch();
  const auto official = test::tiny_checkpoint().tensors;
  test::write_bytes(folder / "legacy.pt", test::make_legacy(official));
  const auto shards = test::diffusers_folder();
  const auto index = test::split_weights(shards, 3);
  const auto diffusers = test::data("diffusers");
  const std::vector<std::pair<fs::path, std::string>> sources{
      {test::data("dit_tiny/weights.safetensors"), tiny_arch()},
      {test::data("dit_tiny/state_dict.pt"), tiny_arch()},
      {folder / "legacy.pt", tiny_arch()},
      {diffusers, ""},
      {diffusers / "transformer", ""},
      {test::transformer_weights(diffusers), ""},
      {shards, ""},
      {index, ""}};
  const auto expected = test::tiny_model()->info().fingerprint;
  for (const auto& [source, arch] : sources) {
    SCOPED_TRACE(source.string());
    const auto out = folder / "out.safetensors";
    const auto done = convert_weights(source, out, {.arch = arch});
    EXPECT_EQ(done.tensors, std::ssize(official));
    EXPECT_EQ(done.config, test::tiny_config());
    EXPECT_EQ(done.fingerprint, expected);
    EXPECT_EQ(done.renamed, arch.empty());
    expect_tensors_of(out, official);
    EXPECT_EQ(load(out)->info().fingerprint, expected);
  }
}

TEST(ConvertWeights, SmallFileThatWouldFillTheDiskIsRefused) {
  const auto folder = scratch();
  constexpr std::int64_t count = 1'000'000;
  std::string program = "\x80\x02}(";
  for (int i = 0; i < 300; ++i) {
    program += test::pickle_text(std::to_string(i)) +
               test::pickle_tensor({.count = count, .offset = 0, .sizes = {count}, .strides = {1}});
  }
  test::write_bytes(folder / "views.pt",
                    test::make_torch_zip(program + "u.",
                                         {{.count = count, .bytes = std::string(4 * count, 'x')}}));
  EXPECT_THAT(message_of([&] {
                (void)convert_weights(folder / "views.pt", folder / "out.safetensors", {});
              }),
              AllOf(HasSubstr("views.pt"), HasSubstr("would be written of a file of")));
  EXPECT_FALSE(fs::exists(folder / "out.safetensors"));
}

TEST(ConvertWeights, SaysWhereTheWeightsCameFrom) {
  const auto folder = scratch();
  const auto checkpoint = test::data("dit_tiny/train_checkpoint.pt");
  const auto ema = convert_weights(checkpoint, folder / "ema.safetensors", {.arch = tiny_arch()});
  const auto model = convert_weights(checkpoint, folder / "model.safetensors",
                                     {.weights = io::Weights::model, .arch = tiny_arch()});
  EXPECT_EQ(ema.section, "ema");
  EXPECT_EQ(model.section, "model");
  EXPECT_EQ(ema.format, "torch zip");
  EXPECT_NE(ema.fingerprint, model.fingerprint);
  const auto metadata = io::SafetensorsFile::open(folder / "model.safetensors").metadata();
  EXPECT_EQ(metadata, (io::Metadata{{"config", to_json(test::tiny_config())},
                                    {"l2c.source", "train_checkpoint.pt"},
                                    {"l2c.source_fingerprint", model.fingerprint},
                                    {"l2c.source_weights", "model"}}));
  expect_tensors_of(folder / "ema.safetensors",
                    io::open_checkpoint(checkpoint, io::Weights::ema).tensors);
  // A file that was converted names what it was converted from, and no choice that it has not.
  convert_weights(folder / "model.safetensors", folder / "again.safetensors");
  const auto again = io::SafetensorsFile::open(folder / "again.safetensors").metadata();
  EXPECT_EQ(again.at("l2c.source"), "model.safetensors");
  EXPECT_FALSE(again.contains("l2c.source_weights"));
}

TEST(ConvertWeights, KeepsForeignMetadataAndFilesThatAreNoModel) {
  const auto folder = scratch();
  const io::TensorMap tensors{{"count", at::arange(3, at::kLong)},
                              {"half", at::randn({2, 2}).to(at::kHalf)},
                              {"wide", at::randn({2}, at::kDouble)}};
  io::write_safetensors(folder / "in.safetensors", tensors, {{"format", "pt"}, {"note", "n"}});
  const auto done = convert_weights(folder / "in.safetensors", folder / "out.safetensors");
  EXPECT_FALSE(done.config.has_value());
  EXPECT_EQ(done.fingerprint, "");
  expect_tensors_of(folder / "out.safetensors", tensors);
  const auto metadata = io::SafetensorsFile::open(folder / "out.safetensors").metadata();
  EXPECT_EQ(metadata,
            (io::Metadata{{"format", "pt"}, {"note", "n"}, {"l2c.source", "in.safetensors"}}));
}

TEST(ConvertWeights, Types) {
  const auto folder = scratch();
  const io::TensorMap tensors{{"bf16", at::randn({5}).to(at::kBFloat16)},
                              {"count", at::arange(3, at::kLong)},
                              {"fp32", at::randn({5})},
                              {"fp64", at::randn({5}, at::kDouble)},
                              {"fp8", at::randn({5}).to(at::kFloat8_e5m2)}};
  io::write_safetensors(folder / "in.safetensors", tensors);
  for (const auto& [type, dtype] : {std::pair{ConvertedType::fp32, at::kFloat},
                                    std::pair{ConvertedType::bf16, at::kBFloat16}}) {
    const auto done =
        convert_weights(folder / "in.safetensors", folder / "out.safetensors", {.type = type});
    io::TensorMap expected;
    std::int64_t bytes = 0;
    for (const auto& [name, tensor] : tensors) {
      expected[name] = tensor.is_floating_point() ? tensor.to(dtype) : tensor;
      bytes += static_cast<std::int64_t>(expected[name].nbytes());
    }
    expect_tensors_of(folder / "out.safetensors", expected);
    EXPECT_EQ(done.bytes, bytes);
  }
}

TEST(ConvertWeights, InBf16ItIsAnotherModelThatSaysWhichItWas) {
  const auto out = scratch() / "out.safetensors";
  const auto done = convert_weights(test::data("diffusers"), out, {.type = ConvertedType::bf16});
  const auto model = load(out);
  EXPECT_EQ(done.fingerprint, test::tiny_model()->info().fingerprint);
  EXPECT_NE(model->info().fingerprint, done.fingerprint);
  EXPECT_EQ(io::SafetensorsFile::open(out).metadata().at("l2c.source_fingerprint"),
            done.fingerprint);
}

TEST(ConvertWeights, NamesMayBeKept) {
  const auto folder = scratch();
  const auto source = test::data("diffusers");
  const ConvertOptions keep{.names = ConvertedNames::keep};
  EXPECT_FALSE(convert_weights(source, folder / "out.safetensors", keep).renamed);
  expect_tensors_of(folder / "out.safetensors",
                    io::open_checkpoint(test::transformer_weights(source)).tensors);
  // Diffusers' names of what is no DiT: nothing but keeping them will do.
  io::write_safetensors(folder / "other.safetensors",
                        {{"transformer_blocks.0.attn.to_q.weight", at::zeros({2, 2})}});
  EXPECT_THAT(message_of([&] {
                convert_weights(folder / "other.safetensors", folder / "new.safetensors");
              }),
              AllOf(HasSubstr("without its config.json"), HasSubstr("or keep its names")));
  convert_weights(folder / "other.safetensors", folder / "new.safetensors", keep);
  EXPECT_THAT(message_of([&] {
                convert_weights(source, folder / "new.safetensors",
                                {.names = ConvertedNames::keep, .arch = "DiT-S/2"});
              }),
              HasSubstr("DiT-S/2 is for the official names"));
}

TEST(ConvertWeights, EqualSourcesGiveEqualFilesAndAnOldOneIsReplaced) {
  const auto folder = scratch();
  convert_weights(test::data("diffusers"), folder / "a.safetensors");
  test::write_file(folder / "b.safetensors", "what was here before");
  convert_weights(test::data("diffusers"), folder / "b.safetensors");
  EXPECT_EQ(test::read_bytes(folder / "a.safetensors"), test::read_bytes(folder / "b.safetensors"));
}

class ConvertRefusal : public testing::Test {
 protected:
  // What is said, after a look at what was left.
  std::string refused(const fs::path& source, const fs::path& target,
                      const ConvertOptions& options = {}) {
    const auto before = test::names_in(folder);
    const auto message = message_of([&] { convert_weights(source, target, options); });
    EXPECT_EQ(test::names_in(folder), before);
    return message;
  }
  fs::path folder = scratch();
  fs::path tiny = test::data("dit_tiny/weights.safetensors");
};

TEST_F(ConvertRefusal, ATargetThatIsNone) {
  EXPECT_THAT(refused(tiny, folder / "out.pt"), HasSubstr("name it *.safetensors"));
  EXPECT_THAT(refused(tiny, folder / "no/out.safetensors"), HasSubstr("does not exist"));
  fs::create_directory(folder / "dir.safetensors");
  EXPECT_THAT(refused(tiny, folder / "dir.safetensors"), HasSubstr("is a directory"));
}

TEST_F(ConvertRefusal, TheSourceItselfAndItsShards) {
  fs::copy_file(tiny, folder / "x.safetensors");
  fs::create_symlink("x.safetensors", folder / "link.safetensors");
  for (const auto* name : {"x.safetensors", "link.safetensors"}) {
    EXPECT_THAT(refused(folder / "x.safetensors", folder / name), HasSubstr("would be replaced"));
  }
  const auto shards = test::diffusers_folder();
  (void)test::split_weights(shards, 2);
  EXPECT_THAT(refused(shards, shards / "transformer/shard-1.safetensors"),
              AllOf(HasSubstr("shard-1.safetensors"), HasSubstr("would be replaced")));
  test::expect_equal(io::SafetensorsFile::open(folder / "x.safetensors").tensor("pos_embed"),
                     io::SafetensorsFile::open(tiny).tensor("pos_embed"), "untouched");
}

TEST_F(ConvertRefusal, SourcesThatCannotBeRead) {
  const auto out = folder / "out.safetensors";
  EXPECT_THAT(refused(folder / "nothing", out), HasSubstr("nothing"));
  EXPECT_THAT(refused(folder, out), HasSubstr("a folder without model_index.json"));
  test::write_file(folder / "notes.txt", "no weights at all");
  EXPECT_THAT(refused(folder / "notes.txt", out), HasSubstr("is no checkpoint"));
  auto bytes = test::read_bytes(tiny);
  test::write_bytes(folder / "cut.safetensors", bytes.substr(0, bytes.size() / 2));
  EXPECT_THAT(refused(folder / "cut.safetensors", out), HasSubstr("a truncated file?"));
  // A flipped bit of a weight, which no reader of the tensors alone would notice.
  bytes = test::read_bytes(test::data("dit_tiny/state_dict.pt"));
  bytes[bytes.size() / 2] ^= 1;
  test::write_bytes(folder / "flipped.pt", bytes);
  EXPECT_THAT(refused(folder / "flipped.pt", out), HasSubstr("checksum"));
}

TEST_F(ConvertRefusal, WhatIsNoFileOfWeights) {
  const auto out = folder / "out.safetensors";
  EXPECT_THAT(refused(test::data("fashion_mnist/router20_fast.pt"), out),
              HasSubstr("is a router, not a model"));
  io::write_safetensors(folder / "shard.safetensors", {{"images", at::zeros({1})}},
                        {{"checksum", "0"}});
  EXPECT_THAT(refused(folder / "shard.safetensors", out), HasSubstr("a working file of l2c"));
}

TEST_F(ConvertRefusal, AnArchitectureThatDoesNotFit) {
  const auto out = folder / "out.safetensors";
  EXPECT_THAT(refused(tiny, out, {.arch = "DiT-S/2"}), HasSubstr("(in DiT-S/2 and in the file)"));
  EXPECT_THAT(refused(test::data("dit_tiny/state_dict.pt"), out, {.arch = "DiT-S/2"}),
              HasSubstr("do not fit DiT-S/2"));
  EXPECT_THAT(refused(test::data("diffusers"), out, {.arch = "DiT-S/2"}),
              HasSubstr("is not DiT-S/2"));
  io::write_safetensors(folder / "other.safetensors", {{"w", at::zeros({1})}});
  EXPECT_THAT(refused(folder / "other.safetensors", out, {.arch = "DiT-S/2"}),
              HasSubstr("have not the names of a DiT"));
}

TEST_F(ConvertRefusal, NumbersAndTypesThatAreTooWide) {
  const auto out = folder / "out.safetensors";
  io::write_safetensors(folder / "in.safetensors",
                        {{"a", at::zeros({1})}, {"w", at::full({1}, 1e300, at::kDouble)}});
  test::write_file(out, "what was here before");
  EXPECT_THAT(refused(folder / "in.safetensors", out, {.type = ConvertedType::fp32}),
              HasSubstr("'w' holds a number that Float can't hold"));
  EXPECT_EQ(test::read_bytes(out), "what was here before");
}

TEST(ConvertWeights, StopsBetweenTensorsAndLeavesNothing) {
  const auto folder = scratch();
  for (const std::string doing : {"checking", "writing"}) {
    std::stop_source source;
    int after = 0;
    const auto message = message_of<Cancelled>([&] {
      convert_weights(
          test::data("diffusers"), folder / "out.safetensors", {},
          [&](const ConvertProgress& progress) {
            EXPECT_LE(progress.done, progress.of);
            if (source.stop_requested()) ++after;
            if (progress.doing == doing && 2 * progress.done > progress.of) source.request_stop();
          },
          source.get_token());
    });
    EXPECT_THAT(message, HasSubstr("was not written")) << doing;
    EXPECT_EQ(after, 0);
    EXPECT_EQ(test::names_in(folder).size(), 0U);
  }
}

}  // namespace
}  // namespace l2c
