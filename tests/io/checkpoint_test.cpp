#include "l2c/io/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>

#include "l2c/core/error.h"
#include "support/byte_files.h"
#include "support/golden.h"
#include "support/pickle_programs.h"

namespace {

using l2c::InputError;
using l2c::io::Checkpoint;
using l2c::io::open_checkpoint;
using l2c::io::SafetensorsFile;
using l2c::io::Weights;
using l2c::io::write_safetensors;
using l2c::test::data;
using l2c::test::expect_equal;
using l2c::test::packed;
using l2c::test::scratch;
using l2c::test::torch_file;
using l2c::test::write_bytes;
using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

void expect_golden(const Checkpoint& checkpoint) {
  const auto golden = SafetensorsFile::open(data("dit_tiny/weights.safetensors"));
  ASSERT_EQ(checkpoint.tensors.size(), golden.names().size());
  for (const auto& name : golden.names()) {
    ASSERT_TRUE(checkpoint.tensors.contains(name)) << name;
    expect_equal(checkpoint.tensors.at(name), golden.tensor(name), name);
  }
}

std::string text(const std::string& value) {
  return std::string("X") + packed(static_cast<std::uint32_t>(value.size())) + value;
}

// A one-element tensor over storage "0".
std::string tensor() {
  return std::string("ctorch._utils\n_rebuild_tensor_v2\n((") + text("storage") +
         "ctorch\nFloatStorage\n" + text("0") + text("cpu") + "K\1tQK" + std::string(1, '\0') +
         "))\x89}tR";
}

std::filesystem::path saved(const std::string& items) {
  return torch_file(std::string("\x80\x02}(") + items + "u.", packed(2.5F));
}

void expect_refused(const std::filesystem::path& path, const std::string& message,
                    Weights weights = Weights::ema) {
  EXPECT_THAT([&] { open_checkpoint(path, weights); },
              ThrowsMessage<InputError>(AllOf(HasSubstr(path.string()), HasSubstr(message))));
}

TEST(DitTinyCheckpoint, SafetensorsWithMetadata) {
  const auto path = data("dit_tiny/weights.safetensors");
  const Checkpoint checkpoint = open_checkpoint(path, Weights::model);
  EXPECT_EQ(checkpoint.format, "safetensors");
  EXPECT_EQ(checkpoint.section, "");
  EXPECT_EQ(checkpoint.path, path);
  EXPECT_EQ(checkpoint.metadata, SafetensorsFile::open(path).metadata());
  expect_golden(checkpoint);
}

TEST(DitTinyCheckpoint, BareStateDict) {
  const Checkpoint checkpoint = open_checkpoint(data("dit_tiny/state_dict.pt"), Weights::model);
  EXPECT_EQ(checkpoint.format, "torch zip");
  EXPECT_EQ(checkpoint.section, "");
  expect_golden(checkpoint);
}

TEST(DitTinyCheckpoint, EmaIsTheDefaultOfATrainingCheckpoint) {
  const Checkpoint checkpoint = open_checkpoint(data("dit_tiny/train_checkpoint.pt"));
  EXPECT_EQ(checkpoint.section, "ema");
  expect_golden(checkpoint);
}

TEST(DitTinyCheckpoint, ModelWeightsOnRequest) {
  const Checkpoint checkpoint =
      open_checkpoint(data("dit_tiny/train_checkpoint.pt"), Weights::model);
  EXPECT_EQ(checkpoint.section, "model");
  const auto golden = SafetensorsFile::open(data("dit_tiny/weights.safetensors"));
  ASSERT_EQ(checkpoint.tensors.size(), golden.names().size());
  for (const auto& name : golden.names()) {
    expect_equal(checkpoint.tensors.at(name), golden.tensor(name) * 1.5 + 0.01, name);
  }
}

TEST(Checkpoint, ModelWithoutEmaAndNestedStateDict) {
  const Checkpoint model =
      open_checkpoint(saved(text("model") + "}" + text("w") + tensor() + "s" + text("opt") + "}"));
  EXPECT_EQ(model.section, "model");
  EXPECT_EQ(model.tensors.at("w").item<float>(), 2.5F);
  const Checkpoint nested = open_checkpoint(
      saved(text("state_dict") + "}" + text("w") + tensor() + "s" + text("epoch") + "K\3"));
  EXPECT_EQ(nested.section, "");
  EXPECT_TRUE(nested.tensors.contains("w"));
}

TEST(Checkpoint, ModelAskedButAbsent) {
  expect_refused(saved(text("ema") + "}" + text("w") + tensor() + "s" + text("opt") + "}"),
                 "without 'model' weights (it holds ema, opt)", Weights::model);
}

TEST(Checkpoint, TensorsOutliveTheFile) {
  at::Tensor weight;
  {
    const auto path = scratch() / "copy.pt";
    std::filesystem::copy_file(data("dit_tiny/state_dict.pt"), path);
    weight = open_checkpoint(path).tensors.at("pos_embed");
    std::filesystem::remove(path);
  }
  expect_equal(weight,
               SafetensorsFile::open(data("dit_tiny/weights.safetensors")).tensor("pos_embed"),
               "pos_embed");
}

TEST(Checkpoint, RoutersAreNoModels) {
  expect_refused(data("l2c/router_random.pt"), "is a router, not a model");
  expect_refused(saved(text("0.prob") + tensor() + text("1.prob") + tensor()),
                 "is a router, not a model");
}

TEST(Checkpoint, RefusesFilesWithoutStateDict) {
  expect_refused(saved(text("epoch") + "K\3"), "holds no state_dict: no name of a tensor in it");
  expect_refused(saved(text("epoch") + "K\3"), "(it holds epoch)");
  expect_refused(saved(text("ema") + "}" + text("step") + "K\1s"), "in its 'ema'");
  expect_refused(torch_file("\x80\x02]."), "a dict of names and tensors was expected");
}

TEST(Checkpoint, RefusesOtherFiles) {
  expect_refused(scratch(), "it is a directory");
  expect_refused(scratch() / "none.pt", "No such file");
  const auto path = scratch() / "text.pt";
  write_bytes(path, "just some text");
  expect_refused(path, "(14 bytes) is no checkpoint: expected a safetensors file or one of torch");
  write_bytes(path, "");
  expect_refused(path, "(0 bytes) is no checkpoint");
  const auto cut = scratch() / "cut.safetensors";
  write_bytes(cut, "1234");
  expect_refused(cut, "no valid safetensors file: it has 4 bytes");
}

TEST(DitTinyLegacy, EqualsTheSafetensorsFile) {
  const auto path = l2c::test::shared_reference("dit_tiny/legacy.pt");
  if (path.empty()) GTEST_SKIP() << "no legacy file: ../shared/reference is not there";
  const Checkpoint checkpoint = open_checkpoint(path, Weights::model);
  EXPECT_EQ(checkpoint.format, "torch (before 1.6)");
  expect_golden(checkpoint);
}

// The same by our own writer of the format, where the shared files are not there.
TEST(DitTinyLegacy, WrittenAgainEqualsTheSafetensorsFile) {
  const auto golden = SafetensorsFile::open(data("dit_tiny/weights.safetensors"));
  const auto path = scratch() / "legacy.pt";
  write_bytes(path, l2c::test::make_legacy(golden.tensors()));
  expect_golden(open_checkpoint(path));
}

TEST(Checkpoint, TensorsThatCannotBeReadAreNotLeftOut) {
  expect_refused(data("io/torch_sparse.pt"),
                 "its tensor 'w' is sparse, quantized or of another kind that is not read "
                 "(torch._utils._rebuild_sparse_tensor)");
  expect_refused(data("io/torch_quantized.pt"), "torch.QInt8Storage");
  expect_refused(data("io/torch_module_legacy.pt"), "holds no state_dict");
}

TEST(TrainingState, IsNoCheckpointOfAModel) {
  const auto path = scratch() / "checkpoint-00000012.safetensors";
  const l2c::io::Metadata metadata{{"step", "12"}, {"settings", "{}"}, {"checksum", "0"}};
  write_safetensors(path, {{"model.a", at::zeros({1})}, {"ema.a", at::zeros({1})}}, metadata);
  expect_refused(path, "is a training checkpoint at step 12");
  expect_refused(path, (path.parent_path() / "model.safetensors").string());
  write_safetensors(path, {{"logits", at::zeros({1})}}, metadata);
  expect_refused(path, (path.parent_path() / "router.safetensors").string());
  // A model that was trained with us says its settings, too.
  write_safetensors(path, {{"a", at::zeros({1})}}, {{"settings", "{}"}, {"training_steps", "12"}});
  EXPECT_EQ(open_checkpoint(path).tensors.size(), 1U);
}

TEST(Checkpoint, NamesTheFileThatItsTensorsRead) {
  for (const char* name : {"weights.safetensors", "state_dict.pt", "train_checkpoint.pt"}) {
    const auto checkpoint = open_checkpoint(data(std::string("dit_tiny/") + name));
    ASSERT_NE(checkpoint.file, nullptr) << name;
    const auto bytes = checkpoint.file->bytes();
    for (const auto& [key, tensor] : checkpoint.tensors) {
      const auto* const first = static_cast<const std::byte*>(tensor.const_data_ptr());
      EXPECT_GE(first, bytes.data()) << name << " " << key;
      EXPECT_LE(first + tensor.nbytes(), bytes.data() + bytes.size()) << name << " " << key;
    }
  }
}

}  // namespace
