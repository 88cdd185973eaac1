// Matrix products with packed weights. Templates on a type of internal linkage: see kernels.h.
//
// Packed [n, k]: panels of tile_vectors * width columns, each [words of k][columns], the last panel
// as wide as what is left needs whole vectors; words of k in whole word_blocks, zeros behind k. A
// tile of tile_rows rows and one panel stays in registers for the whole of k.
#pragma once

#include "kernels.h"
#include "math_kernels.h"

namespace l2c::ops::cpu {

template <class V, class E>
inline constexpr std::int64_t panel_columns = V::width * V::template tile_vectors<E>;

template <class V, class E>
std::int64_t words_of(std::int64_t k) {
  return round_up<V>((k + per_word<E> - 1) / per_word<E>, V::template word_block<E>);
}

template <class V>
std::size_t packed_words(std::int64_t n, std::int64_t k, Element element) {
  const auto words = element == Element::fp32 ? words_of<V, float>(k) : words_of<V, Bf16>(k);
  return static_cast<std::size_t>(round_up<V>(n, V::width) * words);
}

// Where column `first` (of a panel's beginning) lies, and how wide its panel is.
template <class V, class E>
std::int64_t panel_offset(std::int64_t first, std::int64_t k) {
  return first * words_of<V, E>(k);
}

template <class V, class E>
std::int64_t panel_width(std::int64_t first, std::int64_t n) {
  const std::int64_t left = n - first;
  return left < panel_columns<V, E> ? round_up<V>(left, V::width) : panel_columns<V, E>;
}

template <class V, class E>
void pack_panel(const float* rows, std::int64_t n, std::int64_t k, std::int64_t first,
                std::uint32_t* packed) {
  const std::int64_t width = panel_width<V, E>(first, n);
  packed += panel_offset<V, E>(first, k);
  for (std::int64_t column = 0; column < width; ++column) {
    const float* const row = first + column < n ? rows + column * k : nullptr;
    for (std::int64_t q = 0; q < words_of<V, E>(k); ++q) {
      E parts[per_word<E>] = {};
      for (std::int64_t i = 0; i < per_word<E>; ++i) {
        const std::int64_t at = q * per_word<E> + i;
        if (row == nullptr || at >= k) continue;
        if constexpr (per_word<E> == 1) {
          parts[i] = row[at];
        } else {
          V::store(&parts[i], V::set(row[at]), 1);
        }
      }
      packed[q * width + column] = word<V>(&parts[0]);
    }
  }
}

template <class V, class E>
void pack_columns(const float* rows, std::int64_t n, std::int64_t k, std::int64_t first,
                  std::int64_t last, std::uint32_t* packed) {
  for (std::int64_t column = first; column < last; column += panel_columns<V, E>) {
    pack_panel<V, E>(rows + (column - first) * k, n, k, column, packed);
  }
}

template <class V>
void pack(const float* rows, std::int64_t n, std::int64_t k, Element element, std::int64_t first,
          std::int64_t last, std::uint32_t* packed) {
  if (element == Element::fp32) {
    pack_columns<V, float>(rows, n, k, first, last, packed);
  } else {
    pack_columns<V, Bf16>(rows, n, k, first, last, packed);
  }
}

// What an accumulator becomes on its way out.
template <class V, class Out>
typename V::Floats finished(const Product& product, typename V::Floats x, std::int64_t row) {
  x = activated<V, Out>(x, product.activation);
  return product.row_scale == nullptr ? x : V::mul(x, V::set(product.row_scale[row]));
}

template <class V, class Out>
void store_columns(Out* c, typename V::Floats x, std::int64_t left) {
  if (left >= V::width) {
    V::store(c, x);
  } else if (left > 0) {
    V::store(c, x, left);
  }
}

template <class V, int Vectors, class Out>
void store_row(const Product& product, Out* c, const typename V::Floats* sums, std::int64_t row,
               std::int64_t columns) {
  for (int v = 0; v < Vectors; ++v) {
    store_columns<V>(c + v * V::width, finished<V, Out>(product, sums[v], row),
                     columns - v * V::width);
  }
}

template <class V>
typename V::Floats bias_at(const float* bias, std::int64_t left) {
  if (bias == nullptr || left <= 0) return V::set(0);
  return left >= V::width ? V::load(bias) : V::load(bias, left);
}

// One tile; `columns` of the panel's are real.
template <class V, class E, int Rows, int Vectors>
void tile(const Product& product, std::int64_t row, std::int64_t column, std::int64_t columns) {
  constexpr std::int64_t width = Vectors * V::width;
  const E* const a = static_cast<const E*>(product.a) + row * product.a_stride;
  const std::uint32_t* w = product.weights + panel_offset<V, E>(column, product.k);
  typename V::Floats sums[Rows][Vectors];
  for (int v = 0; v < Vectors; ++v) {
    const float* const bias =
        product.bias == nullptr ? nullptr : product.bias + column + v * V::width;
    const auto start = bias_at<V>(bias, columns - v * V::width);
    for (int r = 0; r < Rows; ++r) sums[r][v] = start;
  }
  const auto accumulate = [&](auto word_of_row) __attribute__((always_inline)) {
    typename V::Words weights[Vectors];
    for (int v = 0; v < Vectors; ++v) weights[v] = V::load_words(w + v * V::width);
#pragma GCC unroll 8
    for (int r = 0; r < Rows; ++r) {
      const auto value = V::broadcast(word_of_row(a + r * product.a_stride));
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) {
        sums[r][v] = multiply_add<V, E>(sums[r][v], value, weights[v]);
      }
    }
    w += width;
  };
  const std::int64_t whole = product.k / per_word<E>;
  for (std::int64_t q = 0; q < whole; ++q) {
    accumulate([q](const E* p) { return word<V>(p + q * per_word<E>); });
  }
  if constexpr (per_word<E> == 2) {
    // The last element of an odd k: what lies behind it belongs to somebody else.
    if (product.k % 2 != 0) {
      accumulate([&](const E* p) { return std::uint32_t{p[product.k - 1].bits}; });
    }
  }
  for (int r = 0; r < Rows; ++r) {
    const std::int64_t at = (row + r) * product.c_stride + column;
    if (product.out == Element::fp32) {
      store_row<V, Vectors>(product, static_cast<float*>(product.c) + at, sums[r], row + r,
                            columns);
    } else {
      store_row<V, Vectors>(product, static_cast<Bf16*>(product.c) + at, sums[r], row + r, columns);
    }
  }
}

using Tile = void (*)(const Product&, std::int64_t row, std::int64_t column, std::int64_t columns);

template <class V, class E, int Vectors>
Tile tile_of_rows(std::int64_t rows) {
  static_assert(V::tile_rows <= 6);
  if constexpr (V::tile_rows >= 6) {
    if (rows >= 6) return &tile<V, E, 6, Vectors>;
    if (rows == 5) return &tile<V, E, 5, Vectors>;
    if (rows == 4) return &tile<V, E, 4, Vectors>;
  }
  if (rows >= 3) return &tile<V, E, 3, Vectors>;
  return rows == 2 ? &tile<V, E, 2, Vectors> : &tile<V, E, 1, Vectors>;
}

template <class V, class E>
Tile tile_for(std::int64_t rows, std::int64_t vectors) {
  static_assert(V::template tile_vectors<E> <= 4);
  if constexpr (V::template tile_vectors<E> >= 4) {
    if (vectors == 4) return tile_of_rows<V, E, 4>(rows);
    if (vectors == 3) return tile_of_rows<V, E, 3>(rows);
  }
  return vectors == 2 ? tile_of_rows<V, E, 2>(rows) : tile_of_rows<V, E, 1>(rows);
}

// Rows [first, last) and one panel.
template <class V, class E>
void multiply_panel(const Product& product, std::int64_t first, std::int64_t last,
                    std::int64_t column) {
  const std::int64_t width = panel_width<V, E>(column, product.n);
  const std::int64_t columns = product.n - column < width ? product.n - column : width;
  const Tile whole = tile_for<V, E>(V::tile_rows, width / V::width);
  std::int64_t row = first;
  for (; row + V::tile_rows <= last; row += V::tile_rows) whole(product, row, column, columns);
  if (row < last) tile_for<V, E>(last - row, width / V::width)(product, row, column, columns);
}

// A type with a matrix unit for these elements multiplies there.
template <class V, class E>
concept HasMatrixUnit = sizeof(E) == 2 && requires(const Product& product) {
  V::multiply(product, std::int64_t{}, std::int64_t{});
};

template <class V, class E>
void multiply_columns(const Product& product, std::int64_t first, std::int64_t last) {
  if constexpr (HasMatrixUnit<V, E>) {
    V::multiply(product, first, last);
  } else {
    // Rows that stay in the second cache while all panels pass.
    constexpr std::int64_t together = 32 * V::tile_rows;
    for (std::int64_t row = 0; row < product.m; row += together) {
      const std::int64_t end = row + together < product.m ? row + together : product.m;
      for (std::int64_t column = first; column < last; column += panel_columns<V, E>) {
        multiply_panel<V, E>(product, row, end, column);
      }
    }
  }
}

template <class V>
void multiply(const Product& product, std::int64_t first, std::int64_t last) {
  if (product.in == Element::fp32) {
    multiply_columns<V, float>(product, first, last);
  } else {
    multiply_columns<V, Bf16>(product, first, last);
  }
}

}  // namespace l2c::ops::cpu
