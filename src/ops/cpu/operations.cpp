#include "cpu/operations.h"

#include <algorithm>

#include "cpu/tensors.h"
#include "l2c/ops/workspace.h"

namespace l2c::ops::cpu {

namespace {

bool is_supported(at::ScalarType type) { return type == at::kFloat || type == at::kBFloat16; }

Element element(const at::Tensor& tensor) { return cpu::element(tensor.scalar_type()); }

bool has_whole_rows(const at::Tensor& tensor) {
  return tensor.dim() == 2 && tensor.stride(1) == 1 && tensor.scalar_type() == at::kFloat &&
         tensor.is_cpu();
}

}  // namespace

void in_blocks(std::int64_t n, std::int64_t block, std::int64_t grain, Work work) {
  const std::int64_t blocks = (n + block - 1) / block;
  parallel_for(blocks, grain / block, [&](std::int64_t first, std::int64_t last, int participant) {
    work(first * block, std::min(last * block, n), participant);
  });
}

Product product_of(const Linear& layer, std::int64_t rows, Element out, Activation activation) {
  const PackedWeight& packed = *layer.packed;
  return {.a_stride = packed.in,
          .weights =
              reinterpret_cast<const std::uint32_t*>(packed.words.const_data_ptr<std::int32_t>()),
          .bias = floats(layer.bias),
          .c_stride = packed.out,
          .m = rows,
          .k = packed.in,
          .n = packed.out,
          .in = element(packed.dtype),
          .out = out,
          .activation = activation};
}

Product rows_of(const Product& product, std::int64_t first, std::int64_t last) {
  Product part = product;
  // Either may still be missing.
  if (product.a != nullptr) {
    part.a = static_cast<const char*>(product.a) + first * product.a_stride * bytes_of(product.in);
  }
  if (product.c != nullptr) {
    part.c = static_cast<char*>(product.c) + first * product.c_stride * bytes_of(product.out);
  }
  part.m = last - first;
  return part;
}

void multiply(const Product& product, Operation operation) {
  const Kernels& k = kernels();
  Profile* const profile = open_profile();
  if (product.m >= 2 * most_participants() * k.row_block(product.in)) {
    in_blocks(product.m, k.row_block(product.in), grain(product.k * product.n),
              [&](std::int64_t first, std::int64_t last, int /*participant*/) {
                const Timed timed(profile, operation);
                k.product(rows_of(product, first, last), 0, product.n);
              });
  } else {  // few rows, many weights
    in_blocks(product.n, k.column_block, grain(product.k * product.m),
              [&](std::int64_t first, std::int64_t last, int /*participant*/) {
                const Timed timed(profile, operation);
                k.product(product, first, last);
              });
  }
}

namespace {

// What the kernels see of a stream's pending branches.
struct Summands {
  explicit Summands(const Pending& pending) {
    for (const auto& [value, gate] : pending) {
      for (const Term& term : value) {
        values.push_back({.value = term.value.const_data_ptr(),
                          .element = element(term.value),
                          .weight = term.weight});
      }
    }
    const WeightedValue* next = values.data();
    for (const auto& [value, gate] : pending) {
      list.push_back({.values = next,
                      .value_count = value.size(),
                      .gate = floats(gate),
                      .gate_stride = gate.defined() ? gate.stride(0) : 0});
      next += value.size();
    }
  }
  Summands(const Summands&) = delete;
  Summands& operator=(const Summands&) = delete;

  c10::SmallVector<WeightedValue, 8> values;
  c10::SmallVector<Summand, 4> list;
};

ResidualNorm pass_over(at::Tensor& tokens, const Summands& parts) {
  return {.tokens = tokens.data_ptr<float>(),
          .summands = parts.list.data(),
          .summand_count = parts.list.size(),
          .d = tokens.size(2),
          .rows_per_sample = tokens.size(1)};
}

void run(const ResidualNorm& pass, std::int64_t rows) {
  std::int64_t passes = 4;
  for (std::size_t i = 0; i < pass.summand_count; ++i) {
    passes += static_cast<std::int64_t>(pass.summands[i].value_count);
  }
  Profile* const profile = open_profile();
  parallel_for(rows, grain(8 * passes * pass.d),
               [&](std::int64_t first, std::int64_t last, int /*participant*/) {
                 const Timed timed(profile, Operation::residual_norm);
                 kernels().residual_norm(pass, first, last);
               });
}

}  // namespace

bool usable(const at::Tensor& tensor) {
  return tensor.is_cpu() && !at::GradMode::is_enabled() && is_supported(tensor.scalar_type()) &&
         tensor.is_contiguous() && tensor.numel() > 0;
}

PackedWeight empty_packed(std::int64_t out, std::int64_t in, at::ScalarType dtype) {
  const Element type = element(dtype);
  const std::size_t words = kernels().packed_words(out, in, type);
  return {.in = in,
          .out = out,
          .dtype = dtype,
          .words = at::empty({static_cast<std::int64_t>(words)}, at::kInt)};
}

void pack_rows(PackedWeight& packed, std::int64_t first, const at::Tensor& rows) {
  const Kernels& k = kernels();
  const Element type = element(packed.dtype);
  auto* const words = reinterpret_cast<std::uint32_t*>(packed.words.data_ptr<std::int32_t>());
  const float* const values = rows.const_data_ptr<float>();
  in_blocks(rows.size(0), k.column_block, grain(8 * packed.in),
            [&](std::int64_t begin, std::int64_t end, int /*participant*/) {
              k.pack(values + begin * packed.in, packed.out, packed.in, type, first + begin,
                     first + end, words);
            });
}

void linear(const Linear& layer, const at::Tensor& x, at::Tensor& out, Activation activation) {
  Product product = product_of(layer, x.size(0), element(out), activation);
  product.a = x.const_data_ptr();
  product.a_stride = x.stride(0);
  product.c = out.data_ptr();
  product.c_stride = out.stride(0);
  multiply(product, Operation::other_products);
}

at::Tensor attention(const at::Tensor& qkv, int heads) {
  const std::int64_t rows = qkv.size(0);
  const std::int64_t width = qkv.size(2) / 3;
  at::Tensor out = empty({rows, qkv.size(1), width}, qkv.options());
  const Attention call{.qkv = qkv.const_data_ptr(),
                       .out = out.data_ptr(),
                       .element = element(qkv),
                       .tokens = qkv.size(1),
                       .heads = heads,
                       .head_size = width / heads};
  const Kernels& k = kernels();
  const auto bytes = static_cast<std::int64_t>(k.attention_scratch(call));
  const at::Tensor scratch = empty({most_participants() * bytes}, at::kByte);
  auto* const memory = scratch.data_ptr<std::uint8_t>();
  Profile* const profile = open_profile();
  parallel_for(rows * heads, grain(2 * call.tokens * call.tokens * call.head_size),
               [&](std::int64_t first, std::int64_t last, int participant) {
                 const Timed timed(profile, Operation::attention);
                 k.attention(call, first, last, memory + participant * bytes);
               });
  return out;
}

bool usable(const at::Tensor& tokens, const Pending& pending) {
  if (!usable(tokens) || tokens.scalar_type() != at::kFloat || tokens.dim() != 3) return false;
  return std::ranges::all_of(pending, [&](const auto& entry) {
    const auto& [value, gate] = entry;
    if (gate.defined() && !has_whole_rows(gate)) return false;
    return std::ranges::all_of(value, [&](const Term& term) {
      return usable(term.value) && term.value.sizes() == tokens.sizes();
    });
  });
}

bool usable(const Modulation& modulation) {
  if (!modulation.scale.defined()) return !modulation.shift.defined();
  return has_whole_rows(modulation.scale) && modulation.shift.defined() &&
         has_whole_rows(modulation.shift) &&
         modulation.scale.stride(0) == modulation.shift.stride(0);
}

void add(at::Tensor& tokens, const Pending& pending) {
  const Summands parts(pending);
  run(pass_over(tokens, parts), tokens.size(0) * tokens.size(1));
}

at::Tensor add_and_norm(at::Tensor& tokens, const Pending& pending, const Norm& norm,
                        const Modulation& modulation, at::ScalarType dtype) {
  const Summands parts(pending);
  at::Tensor out = empty(tokens.sizes(), tokens.options().dtype(dtype));
  ResidualNorm pass = pass_over(tokens, parts);
  pass.out = out.data_ptr();
  pass.out_element = element(out);
  pass.eps = static_cast<float>(norm.eps);
  pass.weight = floats(norm.weight);
  pass.bias = floats(norm.bias);
  if (modulation.scale.defined()) {
    pass.shift = floats(modulation.shift);
    pass.scale = floats(modulation.scale);
    pass.modulation_stride = modulation.scale.stride(0);
  }
  run(pass, tokens.size(0) * tokens.size(1));
  return out;
}

}  // namespace l2c::ops::cpu
