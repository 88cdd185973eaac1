// A transformer block's branches, with what lies between the products kept small.
#include <algorithm>

#include "cpu/operations.h"
#include "cpu/tensors.h"
#include "l2c/ops/workspace.h"

namespace l2c::ops::cpu {

namespace {

// Of activations; leaves room in a second cache of 1 MiB or more for the weights that pass.
constexpr std::int64_t bytes_in_cache = 3 << 18;

std::int64_t line(std::int64_t bytes) { return (bytes + 63) / 64 * 64; }

// Rows whose input, hidden values and output fit; fewer than the least would read the weights too
// often.
std::int64_t rows_in_cache(const PackedWeight& fc1, const PackedWeight& fc2, Element in) {
  const std::int64_t block = kernels().row_block(in);
  const std::int64_t row_bytes = (fc1.in + fc1.out + fc2.out) * bytes_of(in);
  const std::int64_t least = (128 + block - 1) / block * block;
  return std::max(least, bytes_in_cache / row_bytes / block * block);
}

// One thread's memory for one sample of the attention branch: q, k and v, their mix, and what the
// kernel needs.
struct AttentionMemory {
  std::int64_t mixed, scratch, bytes;  // offsets

  AttentionMemory(const Attention& attention, std::int64_t width) {
    const std::int64_t values = attention.tokens * width * bytes_of(attention.element);
    mixed = line(3 * values);
    scratch = mixed + line(values);
    bytes = scratch + line(static_cast<std::int64_t>(kernels().attention_scratch(attention)));
  }
};

// Whether a sample a thread keeps all threads busy.
bool by_sample(std::int64_t samples) {
  const std::int64_t threads = most_participants();
  return samples % threads == 0 || samples >= 4 * threads;
}

void timed_product(Profile* profile, Operation operation, const Product& product) {
  const Timed timed(profile, operation);
  kernels().product(product, 0, product.n);
}

at::Tensor memory(std::int64_t bytes) {
  return empty({most_participants() * bytes}, at::TensorOptions(at::kByte));
}

}  // namespace

void mlp_branch(const Linear& fc1, const Linear& fc2, Activation activation, const at::Tensor& x,
                at::Tensor& out) {
  const Kernels& k = kernels();
  const std::int64_t rows = x.numel() / fc1.packed->in;
  const Element type = element(x.scalar_type());
  Product up = product_of(fc1, rows, type, activation);
  Product down = product_of(fc2, rows, element(out.scalar_type()), Activation::none);
  up.a = x.const_data_ptr();
  down.c = out.data_ptr();
  if (rows < 2 * most_participants() * k.row_block(type)) {  // few rows, many weights
    const at::Tensor hidden = empty({rows, up.n}, x.options());
    up.c = hidden.data_ptr();
    down.a = hidden.const_data_ptr();
    multiply(up, Operation::fc1);
    multiply(down, Operation::fc2);
    return;
  }
  // No more than a thread's share: its memory is made for every thread.
  const std::int64_t block = k.row_block(type);
  const std::int64_t share = (rows / most_participants() / block + 1) * block;
  const std::int64_t chunk = std::min({rows, share, rows_in_cache(*fc1.packed, *fc2.packed, type)});
  const std::int64_t bytes = line(chunk * up.n * bytes_of(type));
  const at::Tensor scratch = memory(bytes);
  auto* const hidden = scratch.data_ptr<std::uint8_t>();
  Profile* const profile = open_profile();
  in_blocks(rows, block, grain(2 * up.k * up.n),
            [&](std::int64_t first, std::int64_t last, int participant) {
              for (std::int64_t row = first; row < last; row += chunk) {
                const std::int64_t end = std::min(last, row + chunk);
                Product a = rows_of(up, row, end);
                Product b = rows_of(down, row, end);
                a.c = hidden + participant * bytes;
                b.a = a.c;
                timed_product(profile, Operation::fc1, a);
                timed_product(profile, Operation::fc2, b);
              }
            });
}

void attention_branch(const Linear& qkv, const Linear& proj, int heads, const at::Tensor& x,
                      at::Tensor& out) {
  const std::int64_t samples = x.size(0);
  const std::int64_t tokens = x.size(1);
  const std::int64_t width = x.size(2);
  const Element type = element(x.scalar_type());
  Product in = product_of(qkv, samples * tokens, type, Activation::none);
  Product last = product_of(proj, samples * tokens, element(out.scalar_type()), Activation::none);
  in.a = x.const_data_ptr();
  last.c = out.data_ptr();
  if (!by_sample(samples)) {
    const at::Tensor values = empty({samples, tokens, 3 * width}, x.options());
    in.c = values.data_ptr();
    multiply(in, Operation::qkv);
    const at::Tensor mixed = attention(values, heads);
    last.a = mixed.const_data_ptr();
    multiply(last, Operation::proj);
    return;
  }
  Attention call{.element = type, .tokens = tokens, .heads = heads, .head_size = width / heads};
  const AttentionMemory parts(call, width);
  const at::Tensor scratch = memory(parts.bytes);
  auto* const base = scratch.data_ptr<std::uint8_t>();
  Profile* const profile = open_profile();
  parallel_for(samples, 1, [&](std::int64_t first, std::int64_t end, int participant) {
    std::uint8_t* const own = base + participant * parts.bytes;
    for (std::int64_t sample = first; sample < end; ++sample) {
      Product a = rows_of(in, sample * tokens, (sample + 1) * tokens);
      Product b = rows_of(last, sample * tokens, (sample + 1) * tokens);
      Attention mix = call;
      a.c = own;
      mix.qkv = own;
      mix.out = own + parts.mixed;
      b.a = mix.out;
      timed_product(profile, Operation::qkv, a);
      {
        const Timed timed(profile, Operation::attention);
        kernels().attention(mix, 0, heads, own + parts.scratch);
      }
      timed_product(profile, Operation::proj, b);
    }
  });
}

}  // namespace l2c::ops::cpu
