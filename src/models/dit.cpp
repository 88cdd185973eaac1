#include "l2c/models/dit.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "conditions.h"
#include "l2c/core/error.h"
#include "l2c/models/embeddings.h"
#include "l2c/ops/branches.h"
#include "l2c/ops/workspace.h"

namespace l2c {

namespace {

// The modulations of one block: shift, scale and gate of the attention, then of the MLP; or shift
// and scale of the final layer. Each [N, D], a view made when it is asked for.
struct Parts {
  const at::Tensor& all;  // [N, parts * D]
  int first;              // of all
  std::int64_t width;     // D

  [[nodiscard]] at::Tensor part(int index) const {
    return all.narrow(1, (first + index) * width, width);
  }
  [[nodiscard]] ops::Modulation modulation(int shift) const {
    return {part(shift), part(shift + 1)};
  }
};

}  // namespace

class DiT::Blocks final : public Trunk {
 public:
  Blocks(const DiT& model, at::Tensor tokens, const at::Tensor& modulations, BranchRunner& runner)
      : model_(model),
        stream_(std::move(tokens), model.weights_.dtype()),
        modulations_(modulations),
        runner_(runner) {}

  // Widths of the modulations of so many blocks and the final layer.
  static std::int64_t modulation_parts(int blocks) { return parts_of_block * blocks + 2; }

  [[nodiscard]] int blocks() const override { return model_.config_.depth; }
  ops::ResidualStream& stream() override { return stream_; }

  void run(int first, int last) override {
    begin(first, last);
    for (int i = first; i < last; ++i) {
      block(i, stream_, {modulations_, parts_of_block * i, width()});
    }
  }

  void run(int first, int last, std::span<const std::int64_t> rows) override {
    const std::int64_t batch = modulations_.size(0);
    check_rows(rows, batch);
    if (static_cast<std::int64_t>(rows.size()) == batch) return run(first, last);
    begin(first, last);
    if (rows.empty() || first == last) return;
    const at::Tensor before = stream_.tokens();
    const at::Tensor index = at::tensor(at::ArrayRef(rows.data(), rows.size())).to(before.device());
    ops::ResidualStream some(before.index_select(0, index), model_.weights_.dtype());
    const at::Tensor modulations =
        modulations_
            .narrow(1, first * parts_of_block * width(), (last - first) * parts_of_block * width())
            .index_select(0, index);
    for (int i = first; i < last; ++i) {
      block(i, some, {modulations, parts_of_block * (i - first), width()});
    }
    stream_.replace(before.index_copy(0, index, some.tokens()));
  }

  at::Tensor attention_input(int block) override {
    if (block < 0 || block >= blocks()) {
      throw Error(fmt::format("a runner asked for the input of block {}, but there are {} blocks",
                              block, blocks()));
    }
    const Parts parts{modulations_, parts_of_block * block, width()};
    return stream_.normed({}, parts.modulation(0), at::kFloat);
  }

  at::Tensor final_layer() {
    const Parts parts{modulations_, parts_of_block * blocks(), width()};
    const at::Tensor x = stream_.normed({}, parts.modulation(0), at::kFloat);
    return ops::linear(model_.weights_.final, x);
  }

 private:
  static constexpr int parts_of_block = 6;  // shift, scale and gate of attention and of the MLP

  [[nodiscard]] std::int64_t width() const { return model_.config_.hidden_size; }

  // Notes that the blocks are run, where that is allowed.
  void begin(int first, int last) {
    if (first < next_ || last < first || last > blocks()) {
      throw Error(
          fmt::format("a runner asked for blocks [{}, {}), but of {} blocks those from {} on "
                      "are left",
                      first, last, blocks(), next_));
    }
    next_ = last;
  }

  static void check_rows(std::span<const std::int64_t> rows, std::int64_t batch) {
    std::int64_t least = 0;
    for (const std::int64_t row : rows) {
      if (row < least || row >= batch) {
        throw Error(fmt::format(
            "a runner asked for the batch rows [{}], which must ascend from 0 to at most {}",
            fmt::join(rows, ", "), batch - 1));
      }
      least = row + 1;
    }
  }

  // `parts`: the block's, of the rows that `x` has. A reused branch asks for nothing but its gate.
  void block(int i, ops::ResidualStream& x, const Parts& parts) {
    const DiTWeights::Block& weights = model_.weights_.blocks[static_cast<std::size_t>(i)];
    x.add(runner_.branch({i, BranchKind::attention},
                         [&](at::Tensor out) {
                           return ops::attention_branch(
                               weights.qkv, weights.proj, model_.config_.num_heads,
                               x.normed({}, parts.modulation(0)), std::move(out));
                         }),
          parts.part(2));
    x.add(runner_.branch({i, BranchKind::mlp},
                         [&](at::Tensor out) {
                           return ops::mlp_branch(weights.fc1, weights.fc2, ops::Gelu::tanh,
                                                  x.normed({}, parts.modulation(3)),
                                                  std::move(out));
                         }),
          parts.part(5));
  }

  const DiT& model_;
  ops::ResidualStream stream_;
  at::Tensor modulations_;  // [N, 6 * blocks * D + 2 * D]
  BranchRunner& runner_;
  int next_ = 0;
};

DiT::DiT(const DiTConfig& config, DiTWeights weights, DenoiserInfo info)
    : config_(config),
      weights_(std::move(weights)),
      info_(std::move(info)),
      cost_(forward_cost(config)) {}

at::Tensor DiT::forward(const at::Tensor& x, const at::Tensor& t, const at::Tensor& y,
                        BranchRunner& runner) const {
  check_input(x);
  check_conditions(t, y, x.size(0));
  return run(x, modulations(t, y), runner);
}

std::int64_t DiT::conditions_width() const {
  if (!weights_.modulation.packed) return 0;
  return Blocks::modulation_parts(config_.depth) * std::int64_t{config_.hidden_size};
}

at::Tensor DiT::conditions(const at::Tensor& t, const at::Tensor& y) const {
  if (conditions_width() == 0) return Denoiser::conditions(t, y);
  check_conditions(t, y, t.dim() > 0 ? t.size(0) : 0);
  return modulations(t, y);
}

at::Tensor DiT::forward_conditioned(const at::Tensor& x, const at::Tensor& conditions,
                                    BranchRunner& runner) const {
  const std::int64_t width = conditions_width();
  if (width == 0) return Denoiser::forward_conditioned(x, conditions, runner);
  check_input(x);
  if (conditions.dim() != 2 || conditions.size(0) != x.size(0) || conditions.size(1) != width ||
      conditions.scalar_type() != at::kFloat || conditions.device() != device()) {
    throw InputError(fmt::format(
        "the conditions are {} [{}] on {}, but must be what conditions() made: Float [{}, {}] on "
        "{}",
        c10::toString(conditions.scalar_type()), fmt::join(conditions.sizes(), ", "),
        conditions.device().str(), x.size(0), width, device().str()));
  }
  return run(x, conditions, runner);
}

at::Tensor DiT::run(const at::Tensor& x, const at::Tensor& modulations,
                    BranchRunner& runner) const {
  // Under autocast products come as bf16; what they are added to and scaled by stays fp32.
  Blocks blocks(*this, embed_tokens(x), modulations, runner);
  runner.trunk(blocks);
  return unpatchify(blocks.final_layer().to(at::kFloat));
}

void DiT::check_input(const at::Tensor& x) const {
  const std::int64_t rows = x.dim() > 0 ? x.size(0) : 0;
  const std::vector<std::int64_t> expected{rows, config_.in_channels, config_.input_size,
                                           config_.input_size};
  if (rows < 1 || x.sizes() != c10::ArrayRef<std::int64_t>(expected)) {
    throw InputError(fmt::format("the model's input is [{}], but must be [N, {}, {}, {}]",
                                 fmt::join(x.sizes(), ", "), config_.in_channels,
                                 config_.input_size, config_.input_size));
  }
  if (x.scalar_type() != at::kFloat) {
    throw InputError(fmt::format("the input must be fp32, not {}", c10::toString(x.scalar_type())));
  }
  if (x.device() != device()) {
    throw InputError(
        fmt::format("the model is on {}, but the input on {}", device().str(), x.device().str()));
  }
}

void DiT::check_conditions(const at::Tensor& t, const at::Tensor& y, std::int64_t rows) const {
  if (rows < 1 || t.dim() != 1 || t.size(0) != rows || y.dim() != 1 || y.size(0) != rows) {
    throw InputError(fmt::format(
        "timesteps [{}] and labels [{}] must have one entry for each of the {} rows of the input",
        fmt::join(t.sizes(), ", "), fmt::join(y.sizes(), ", "), rows));
  }
  if (y.scalar_type() != at::kLong) {
    throw InputError(
        fmt::format("the labels must be int64, not {}", c10::toString(y.scalar_type())));
  }
  if (t.device() != device() || y.device() != device()) {
    throw InputError(fmt::format("the model is on {}, but timesteps and labels are on {} and {}",
                                 device().str(), t.device().str(), y.device().str()));
  }
}

at::Tensor DiT::embed_patches(const at::Tensor& x) const {
  const auto grid = config_.grid();
  const std::int64_t patch = config_.patch_size;
  const auto channels = config_.in_channels;
  // A patch as the convolution's weight has it: (channel, p, q).
  const at::Tensor patches =
      x.reshape({x.size(0), channels, grid, patch, grid, patch}).permute({0, 2, 4, 1, 3, 5});
  return ops::linear(weights_.patch,
                     patches.reshape({x.size(0), config_.tokens(), channels * patch * patch}));
}

at::Tensor DiT::embed_tokens(const at::Tensor& x) const {
  at::Tensor patches = embed_patches(x);
  // Under autocast patches are bf16, but the sum must be fp32.
  if (at::GradMode::is_enabled() || patches.scalar_type() != at::kFloat) {
    return patches + weights_.pos_embed;
  }
  return patches.add_(weights_.pos_embed);  // nobody else has seen them
}

at::Tensor DiT::embed_timesteps(const at::Tensor& t) const {
  const at::Tensor sinusoids = timestep_sinusoids(t, weights_.frequencies);
  return ops::linear(weights_.time2, at::silu(ops::linear(weights_.time1, sinusoids)));
}

at::Tensor DiT::embed_labels(const at::Tensor& y) const {
  return at::embedding(weights_.label_embedding, y);
}

at::Tensor DiT::modulations(const at::Tensor& t, const at::Tensor& y) const {
  // Only packed layers give a row the same bits whatever stands beside it.
  if (!weights_.modulation.packed) return modulations(embed_timesteps(t) + embed_labels(y));
  const Conditions distinct = distinct_conditions(t, y);
  return distinct.spread(modulations(embed_timesteps(distinct.t) + embed_labels(distinct.y)));
}

at::Tensor DiT::modulations(const at::Tensor& c) const {
  return ops::linear_to_fp32(weights_.modulation, at::silu(c));
}

at::Tensor DiT::unpatchify(const at::Tensor& tokens) const {
  const auto grid = config_.grid();
  const auto patch = config_.patch_size;
  const auto channels = config_.out_channels();
  const at::Tensor parts =
      tokens.view({tokens.size(0), grid, grid, patch, patch, channels}).permute({0, 5, 1, 3, 2, 4});
  const std::vector<std::int64_t> shape{tokens.size(0), channels, config_.input_size,
                                        config_.input_size};
  if (at::GradMode::is_enabled()) return parts.reshape(shape);
  at::Tensor image = ops::empty(shape, tokens.options());
  image.view(parts.sizes()).copy_(parts);
  return image;
}

}  // namespace l2c
