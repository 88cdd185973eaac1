#include "l2c/models/weight_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "l2c/core/error.h"
#include "l2c/models/weight_seed.h"
#include "models_support.h"
#include "support/memory.h"

namespace l2c {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

TEST(SeededWeights, AreTheReferencesOwnBitForBit) {
  const auto golden = test::tiny_checkpoint().tensors;
  const auto seeded = seeded_dit_weights(test::tiny_config(), 1);
  ASSERT_EQ(seeded.shapes(), shapes_of(golden));
  for (const auto& [name, expected] : golden) {
    test::expect_equal(seeded.tensor(name), expected, name);
    EXPECT_EQ(seeded.dtype(name), at::kFloat);
  }
}

TEST(SeededWeights, AreTheReferencesOwnForAnotherModelToo) {
  const auto file = test::shared_reference("uvit_tiny/weights.safetensors");
  if (file.empty()) GTEST_SKIP() << "no shared reference files";
  const auto golden = io::open_checkpoint(file).tensors;  // learned positions, norms with weights
  const SeededWeights seeded(shapes_of(golden), 2);
  for (const auto& [name, expected] : golden) {
    test::expect_equal(seeded.tensor(name), expected, name);
  }
}

TEST(SeededWeights, AnyOrderGivesTheSame) {
  const auto seeded = seeded_dit_weights(test::tiny_config(), 7);
  const auto first = seeded.tensor("blocks.1.attn.qkv.weight").clone();
  (void)seeded.tensor("t_embedder.mlp.0.weight");
  seeded.release("t_embedder.mlp.0.weight");
  test::expect_equal(seeded.tensor("blocks.1.attn.qkv.weight"), first, "asked for twice");
  const auto other = seeded_dit_weights(test::tiny_config(), 8);
  EXPECT_GT(test::relative_error(other.tensor("blocks.1.attn.qkv.weight"), first), 0.1);
}

TEST(SeededWeights, Refusals) {
  const auto seeded = seeded_dit_weights(test::tiny_config(), largest_weight_seed);
  EXPECT_EQ(seeded.description(), "seeded:134217727");
  EXPECT_THAT([&] { (void)seeded.tensor("nothing"); }, ThrowsMessage<Error>(HasSubstr("nothing")));
  EXPECT_THAT([] { (void)seeded_dit_weights(test::tiny_config(), largest_weight_seed + 1); },
              ThrowsMessage<InputError>(AllOf(HasSubstr("134217728"), HasSubstr("134217727"))));
}

TEST(WeightSeed, IsReadFromText) {
  EXPECT_EQ(parse_weight_seed("seeded:0"), 0U);
  EXPECT_EQ(parse_weight_seed("seeded:134217727"), largest_weight_seed);
  for (const char* text :
       {"", "3", "seeded", "seeded:", "seeded:-1", "seeded:1.5", "seeded: 1", "seeded:1 ",
        "Seeded:1", "random:1", "seeded:134217728", "seeded:99999999999999999999999"}) {
    EXPECT_THAT([&] { (void)parse_weight_seed(text); },
                ThrowsMessage<InputError>(AllOf(HasSubstr(text), HasSubstr("seeded:S"))))
        << text;
  }
}

TEST(StoredWeights, HandOutWhatIsThere) {
  const auto checkpoint = test::tiny_checkpoint();
  const StoredWeights stored(checkpoint);
  EXPECT_THAT(stored.description(), HasSubstr("weights.safetensors"));
  EXPECT_EQ(stored.shapes(), shapes_of(checkpoint.tensors));
  const std::string name = "blocks.0.mlp.fc1.weight";
  EXPECT_EQ(stored.tensor(name).data_ptr(), checkpoint.tensors.at(name).data_ptr());
  EXPECT_EQ(StoredWeights(io::TensorMap{{"a", at::ones({2}, at::kHalf)}}).dtype("a"), at::kHalf);
  EXPECT_THAT([&] { (void)stored.tensor("nothing"); },
              ThrowsMessage<Error>(AllOf(HasSubstr("nothing"), HasSubstr("weights.safetensors"))));
}

TEST(StoredWeights, ReleaseDropsPagesOfAFileAndNothingElse) {
  const auto path = test::scratch() / "large.safetensors";
  constexpr std::int64_t count = 4 << 20;
  io::write_safetensors(path, {{"large", at::arange(count, at::kFloat)}});
  auto checkpoint = io::open_checkpoint(path);
  checkpoint.tensors["own"] = at::arange(count, at::kFloat);
  const StoredWeights stored(checkpoint);
  const auto sum = [&](const char* name) { return stored.tensor(name).sum(at::kDouble).item(); };
  const auto before = test::resident_file_bytes();
  const auto expected = sum("large").toDouble();
  const auto read = test::resident_file_bytes();
  EXPECT_GT(read - before, 3 * count);  // of 4 * count bytes
  stored.release("large");
  EXPECT_LT(test::resident_file_bytes() - before, count);
  stored.release("own");  // memory of nobody's file: it would be lost
  EXPECT_EQ(sum("own").toDouble(), expected);
  EXPECT_EQ(sum("large").toDouble(), expected);
}

// Notes what is asked of it.
class ObservedSource final : public WeightSource {
 public:
  explicit ObservedSource(const WeightSource& inner) : inner_(inner) {}
  const std::string& description() const override { return inner_.description(); }
  const ShapeMap& shapes() const override { return inner_.shapes(); }
  at::ScalarType dtype(const std::string& name) const override { return inner_.dtype(name); }
  at::Tensor tensor(const std::string& name) const override {
    asked.push_back(name);
    return inner_.tensor(name);
  }
  void release(const std::string& name) const override { released.push_back(name); }

  mutable std::vector<std::string> asked, released;

 private:
  const WeightSource& inner_;
};

TEST(LoadingADit, ReadsEveryTensorOnceAndReleasesIt) {
  const auto seeded = seeded_dit_weights(test::tiny_config(), 1);
  for (const auto products : {std::optional<at::ScalarType>(), std::optional(at::kBFloat16)}) {
    const ObservedSource source(seeded);
    const auto dit = DiT::load(test::tiny_config(), source, at::kCPU, products);
    std::vector<std::string> names;
    for (const auto& [name, shape] : seeded.shapes()) names.push_back(name);
    EXPECT_EQ(source.asked, names);
    EXPECT_EQ(source.released, names);
    EXPECT_EQ(dit->info().fingerprint, test::tiny_model()->info().fingerprint);
  }
}

TEST(LoadingADit, SeededAndStoredAreTheSameModel) {
  const auto in =
      test::input_of(io::SafetensorsFile::open(test::data("dit_tiny/forward.safetensors")));
  const c10::InferenceMode inference;
  ComputeAllRunner runner;
  const auto seeded = seeded_dit_weights(test::tiny_config(), 1);
  for (const auto products :
       {std::optional<at::ScalarType>(), std::optional(at::kFloat), std::optional(at::kBFloat16)}) {
    const auto config = test::tiny_config();
    const auto made = DiT::load(config, seeded, test::device(), products);
    const auto read = DiT::load(config, test::tiny_checkpoint(), test::device(), products);
    test::expect_equal(made->forward(in.x, in.t, in.y, runner),
                       read->forward(in.x, in.t, in.y, runner), "output");
  }
}

TEST(LoadingADit, WidthsThatFillNoWholeBlocksOfThePackedLayout) {
  DiTConfig config = test::tiny_config();
  config.hidden_size = 36;  // 6 * 36 rows of modulation a block
  config.num_heads = 3;
  const auto seeded = seeded_dit_weights(config, 5);
  const auto plain = DiT::load(config, seeded);
  const auto prepared = DiT::load(config, seeded, at::kCPU, at::kFloat);
  const c10::InferenceMode inference;
  const auto c = at::randn({3, 36});
  EXPECT_LT(test::relative_error(prepared->modulations(c), plain->modulations(c)), 1e-6);
}

}  // namespace
}  // namespace l2c
