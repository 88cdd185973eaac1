// Attention of one head after another. Templates on a type of internal linkage: see kernels.h.
//
// Both products are those of product_kernels.h, with a head's keys and values packed as weights;
// scores stay in fp32, a block of rows at a time.
#pragma once

#include "kernels.h"
#include "math_kernels.h"
#include "product_kernels.h"

namespace l2c::ops::cpu {

template <class V, class E>
struct AttentionScratch {
  static constexpr std::int64_t rows = V::template query_rows<E>;  // at a time
  std::int64_t padded;                                             // tokens, in whole cache lines
  std::size_t keys, values, scores, weights, inverses, bytes;      // offsets in bytes

  explicit AttentionScratch(const Attention& attention)
      : padded(round_up<V>(attention.tokens, 32)),
        keys(0),
        values(line(4 * packed_words<V>(attention.tokens, attention.head_size, attention.element))),
        scores(values +
               line(4 * packed_words<V>(attention.head_size, attention.tokens, attention.element))),
        weights(scores + line(static_cast<std::size_t>(rows * padded) * 4)),
        inverses(weights + line(static_cast<std::size_t>(rows * padded) * 4)),
        bytes(inverses + line(static_cast<std::size_t>(rows) * 4)) {}

  static std::size_t line(std::size_t bytes) { return (bytes + 63) / 64 * 64; }
};

// One panel of keys, [words of size][width] of which `real` columns are tokens.
template <class V, class E>
void pack_key_panel(const E* keys, std::int64_t stride, std::int64_t real, std::int64_t width,
                    std::int64_t size, std::uint32_t* panel) {
  const std::int64_t words = words_of<V, E>(size);
  for (std::int64_t q = 0; q < words; ++q) {
    const std::int64_t left = size - q * per_word<E>;
    const E* column = keys + q * per_word<E>;
    std::uint32_t* const out = panel + q * width;
    for (std::int64_t j = 0; j < width; ++j, column += stride) {
      out[j] = 0;
      if (j >= real || left < 1) continue;
      if constexpr (per_word<E> == 2) {
        out[j] = left == 1 ? std::uint32_t{column->bits} : word<V>(column);
      } else {
        out[j] = word<V>(column);
      }
    }
  }
}

template <class V>
concept Transposes = requires(std::uint32_t* to) { V::transpose(nullptr, 0, 0, 0, to, 0, 0); };

// The same by blocks of 16 x 16 words.
template <Transposes V, class E>
void transpose_key_panel(const E* keys, std::int64_t stride, std::int64_t real, std::int64_t width,
                         std::int64_t size, std::uint32_t* panel) {
  const std::int64_t words = words_of<V, E>(size);
  constexpr std::int64_t block = V::width * per_word<E>;
  const auto bytes_of = [](std::int64_t elements) {
    return elements * static_cast<std::int64_t>(sizeof(E));
  };
  for (std::int64_t column = 0; column < width; column += V::width) {
    for (std::int64_t q = 0; q < words; q += V::width) {
      const std::int64_t left = size - q * per_word<E>;
      V::transpose(keys + column * stride + q * per_word<E>, bytes_of(stride), real - column,
                   left > 0 ? bytes_of(left < block ? left : block) : 0, panel + q * width + column,
                   width, words - q);
    }
  }
}

// Keys as the packed matrix [tokens, head_size].
template <class V, class E>
void pack_keys(const E* keys, std::int64_t stride, std::int64_t tokens, std::int64_t size,
               std::uint32_t* packed) {
  for (std::int64_t first = 0; first < tokens; first += panel_columns<V, E>) {
    const std::int64_t width = panel_width<V, E>(first, tokens);
    const std::int64_t real = tokens - first < width ? tokens - first : width;
    std::uint32_t* const panel = packed + panel_offset<V, E>(first, size);
    if constexpr (Transposes<V>) {
      transpose_key_panel<V>(keys + first * stride, stride, real, width, size, panel);
    } else {
      pack_key_panel<V>(keys + first * stride, stride, real, width, size, panel);
    }
  }
}

// Values as the packed matrix [head_size, tokens].
template <class V, class E>
void pack_values(const E* values, std::int64_t stride, std::int64_t tokens, std::int64_t size,
                 std::uint32_t* packed) {
  const std::int64_t words = words_of<V, E>(tokens);
  for (std::int64_t first = 0; first < size; first += panel_columns<V, E>) {
    const std::int64_t width = panel_width<V, E>(first, size);
    std::uint32_t* const panel = packed + panel_offset<V, E>(first, tokens);
    for (std::int64_t q = 0; q < words; ++q) {
      const E* const row = values + q * per_word<E> * stride + first;
      for (std::int64_t d = 0; d < width; d += V::width) {
        const std::int64_t left = size - first - d < V::width ? size - first - d : V::width;
        if constexpr (per_word<E> == 2) {
          if (q * 2 >= tokens) {
            V::store_words(panel + q * width + d, V::broadcast(0));
            continue;
          }
          const bool last = (q + 1) * 2 > tokens;
          V::store_words(panel + q * width + d,
                         V::pairs(row + d, last ? nullptr : row + stride + d, left));
        } else {
          V::store(reinterpret_cast<float*>(panel + q * width + d),
                   left == V::width ? V::load(row + d) : V::load(row + d, left));
        }
      }
    }
  }
}

// A row of scores to weights e^(scale * (score - largest)), whose sum's inverse is given back. What
// lies behind the tokens becomes next to nothing, as far as whole vectors go.
template <class V, class E>
float softmax(float* scores, std::int64_t tokens, float scale, E* weights) {
  const std::int64_t end = round_up<V>(tokens, V::width);
  for (std::int64_t j = tokens; j < end; ++j) scores[j] = -3e38F;
  auto most = V::load(scores);
  for (std::int64_t j = V::width; j < end; j += V::width) most = V::max(most, V::load(scores + j));
  const auto largest = V::set(V::largest(most));
  auto sums = V::set(0);
  for (std::int64_t j = 0; j < end; j += V::width) {
    const auto e = exponential_of_product<V, E>(V::sub(V::load(scores + j), largest), scale);
    sums = V::add(sums, e);
    V::store(weights + j, e);
  }
  return 1 / V::sum(sums);
}

// One head of one sample: where its parts lie.
template <class E>
struct Head {
  std::int64_t tokens, size;
  std::int64_t stride;      // between a token's queries and the next one's
  std::int64_t out_stride;  // and their results
  float scale;
  const E* queries;
  E* out;
  std::uint32_t* keys;    // packed [tokens, size]
  std::uint32_t* values;  // packed [size, tokens]
  std::int64_t padded;    // columns of scores and weights
  float* scores;          // [rows at a time][padded]
  E* weights;             // the same
  float* inverses;        // [rows at a time]: of the weights' sums
};

// Some rows of queries, rows at a time or fewer.
template <class V, class E>
void attend_rows(const Head<E>& head, std::int64_t row, std::int64_t rows) {
  constexpr Element element = per_word<E> == 1 ? Element::fp32 : Element::bf16;
  const Product score{.a = head.queries + row * head.stride,
                      .a_stride = head.stride,
                      .weights = head.keys,
                      .c = head.scores,
                      .c_stride = head.padded,
                      .m = rows,
                      .k = head.size,
                      .n = head.tokens,
                      .in = element,
                      .out = Element::fp32};
  multiply_columns<V, E>(score, 0, score.n);
  for (std::int64_t r = 0; r < rows; ++r) {
    head.inverses[r] = softmax<V>(head.scores + r * head.padded, head.tokens, head.scale,
                                  head.weights + r * head.padded);
  }
  const Product mix{.a = head.weights,
                    .a_stride = head.padded,
                    .weights = head.values,
                    .c = head.out + row * head.out_stride,
                    .c_stride = head.out_stride,
                    .m = rows,
                    .k = head.tokens,
                    .n = head.size,
                    .in = element,
                    .out = element,
                    .row_scale = head.inverses};
  multiply_columns<V, E>(mix, 0, mix.n);
}

// A type with a faster way for some heads does there what it can: false where it could not.
template <class V, class E>
concept HasOwnAttention =
    requires(const Head<E>& head) { V::attend_rows(head, std::int64_t{}, std::int64_t{}); };

template <class V, class E>
void attend(const Attention& attention, std::int64_t index, char* scratch) {
  const AttentionScratch<V, E> at(attention);
  const std::int64_t size = attention.head_size;
  const std::int64_t width = attention.heads * size;
  const std::int64_t sample = index / attention.heads;
  const std::int64_t offset = index % attention.heads * size;
  const Head<E> head{
      .tokens = attention.tokens,
      .size = size,
      .stride = 3 * width,
      .out_stride = width,
      .scale = 1 / __builtin_sqrtf(static_cast<float>(size)),
      .queries =
          static_cast<const E*>(attention.qkv) + sample * attention.tokens * 3 * width + offset,
      .out = static_cast<E*>(attention.out) + sample * attention.tokens * width + offset,
      .keys = reinterpret_cast<std::uint32_t*>(scratch + at.keys),
      .values = reinterpret_cast<std::uint32_t*>(scratch + at.values),
      .padded = at.padded,
      .scores = reinterpret_cast<float*>(scratch + at.scores),
      .weights = reinterpret_cast<E*>(scratch + at.weights),
      .inverses = reinterpret_cast<float*>(scratch + at.inverses)};
  pack_keys<V>(head.queries + width, head.stride, head.tokens, size, head.keys);
  pack_values<V>(head.queries + 2 * width, head.stride, head.tokens, size, head.values);
  for (std::int64_t row = 0; row < head.tokens; row += at.rows) {
    const std::int64_t rows = head.tokens - row < at.rows ? head.tokens - row : at.rows;
    if constexpr (HasOwnAttention<V, E>) {
      if (V::attend_rows(head, row, rows)) continue;
    }
    attend_rows<V>(head, row, rows);
  }
}

template <class V>
std::size_t attention_scratch(const Attention& attention) {
  return attention.element == Element::fp32 ? AttentionScratch<V, float>(attention).bytes
                                            : AttentionScratch<V, Bf16>(attention).bytes;
}

template <class V>
void attention(const Attention& attention, std::int64_t first, std::int64_t last, void* scratch) {
  for (std::int64_t head = first; head < last; ++head) {
    if (attention.element == Element::fp32) {
      attend<V, float>(attention, head, static_cast<char*>(scratch));
    } else {
      attend<V, Bf16>(attention, head, static_cast<char*>(scratch));
    }
  }
}

}  // namespace l2c::ops::cpu
