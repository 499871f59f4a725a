#include "conv_skip.hpp"

#include "conv_pass.hpp"
#include "wide_lanes.hpp"

#include <temblor/base/error.hpp>

namespace temblor {

#if TEMBLOR_HAS_WIDE
namespace {

constexpr Index vector = 16;  // floats, or numbers of 32 bits
/// Of all lanes: without a mask GCC 12 warns of its own header.
constexpr __mmask16 every = 0xFFFF;

/// words[y * pitch + c]: bit x is 1 where column x of row y of plane c is not 0.
TEMBLOR_WIDE void nonzero_words(const SkipShape& shape, const float* image, Index pitch,
                                std::uint32_t* words) {
  const auto low = static_cast<__mmask16>(shape.width >= vector ? 0xFFFFU : (1U << shape.width) - 1U);
  const auto high = static_cast<__mmask16>(shape.width > vector ? (1U << (shape.width - vector)) - 1U : 0U);
  const __m512 zero = _mm512_setzero_ps();
  for (Index c = 0; c < shape.channels; ++c) {
    for (Index y = 0; y < shape.height; ++y, image += shape.width) {
      std::uint32_t word = _mm512_mask_cmp_ps_mask(low, _mm512_maskz_loadu_ps(low, image), zero, _CMP_NEQ_UQ);
      if (high != 0) {
        const __m512 rest = _mm512_maskz_loadu_ps(high, image + vector);
        word |= std::uint32_t{_mm512_mask_cmp_ps_mask(high, rest, zero, _CMP_NEQ_UQ)} << vector;
      }
      words[y * pitch + c] = word;
    }
  }
}

/// Codes of one block of one row from its words; returns how many taps are left.
TEMBLOR_WIDE int code_row(const std::uint32_t* words, Index pitch, unsigned first, unsigned dilation,
                          Index taps, std::uint32_t pattern, std::uint32_t* codes) {
  int left = 0;
  for (Index c = 0; c < pitch; c += vector) {
    __m512i word = _mm512_maskz_srl_epi32(every, _mm512_loadu_si512(words + c),
                                          _mm_cvtsi32_si128(static_cast<int>(first)));
    const __m512i seen = _mm512_set1_epi32(static_cast<int>(pattern));
    __m512i code = _mm512_setzero_si512();
    for (Index j = 0; j < taps; ++j) {
      const __mmask16 reads = _mm512_test_epi32_mask(word, seen);
      code = _mm512_mask_or_epi32(code, reads, code, _mm512_set1_epi32(1 << j));
      left += __builtin_popcount(reads);
      word = _mm512_maskz_srl_epi32(every, word, _mm_cvtsi32_si128(static_cast<int>(dilation)));
    }
    _mm512_storeu_si512(codes + c, code);
  }
  return left;
}

struct List {
  const std::uint32_t* codes;  ///< of the first kernel row and channel
  Index step;                  ///< to the next kernel row's
  Index kernel_rows;
  Index taps;      ///< of a kernel's row
  Index channels;  ///< to list
};

TEMBLOR_WIDE Index list_taps(const List& from, std::int32_t* list) {
  std::int32_t* to = list;
  const auto taps = static_cast<int>(from.kernel_rows * from.taps);
  __m512i numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __m512i more = _mm512_set1_epi32(taps);
  for (Index first = 0; first < from.channels; first += vector) {
    __m512i all = _mm512_loadu_si512(from.codes + first);
    for (Index i = 1; i < from.kernel_rows; ++i) {
      const __m512i row = _mm512_loadu_si512(from.codes + i * from.step + first);
      all = _mm512_or_si512(
          all, _mm512_maskz_sll_epi32(every, row, _mm_cvtsi32_si128(static_cast<int>(i * from.taps))));
    }
    alignas(64) std::uint32_t kernels[vector];
    _mm512_store_si512(kernels, all);
    const Index end = from.channels - first < vector ? from.channels - first : vector;
    for (Index c = 0; c < end; ++c) {
      const std::uint32_t left = kernels[c];
      _mm512_storeu_si512(to, _mm512_maskz_compress_epi32(static_cast<__mmask16>(left), numbers));
      to += __builtin_popcount(left);
      numbers = _mm512_add_epi32(numbers, more);
    }
  }
  return to - list;
}

template <int Positions, int Panels>
TEMBLOR_WIDE void run_list(const SkipPass& pass) {
  __m512 acc[Panels][Positions];
  for (int v = 0; v < Panels; ++v) {
    for (int p = 0; p < Positions; ++p)
      acc[v][p] = _mm512_loadu_ps(pass.bias != nullptr ? pass.bias + v * panel_width
                                                       : pass.sums + v * pass.sums_step + p * panel_width);
  }
  const Index step = pass.step;
  const Index weights_step = pass.weights_step;
  const std::int32_t* list = pass.list;
  for (const std::int32_t* end = list + pass.n; list < end; ++list) {
    const std::ptrdiff_t tap = *list;
    const float* weights = pass.weights + tap * panel_width;
    const float* from = pass.image + pass.offsets[tap];
    __m512 value[Positions];
    for (int p = 0; p < Positions; ++p) value[p] = _mm512_set1_ps(from[p * step]);
    for (int v = 0; v < Panels; ++v) {
      const __m512 w = _mm512_loadu_ps(weights + v * weights_step);
      for (int p = 0; p < Positions; ++p) acc[v][p] = _mm512_fmadd_ps(value[p], w, acc[v][p]);
    }
  }
  for (int v = 0; v < Panels; ++v) {
    for (int p = 0; p < Positions; ++p)
      _mm512_storeu_ps(pass.sums + v * pass.sums_step + p * panel_width, acc[v][p]);
  }
}

template <int Positions>
TEMBLOR_WIDE void run_lists(const SkipPass& pass, int panels) {
  switch (panels) {
    case 4:
      return run_list<Positions, 4>(pass);
    case 3:
      return run_list<Positions, 3>(pass);
    case 2:
      return run_list<Positions, 2>(pass);
    default:
      return run_list<Positions, 1>(pass);
  }
}

}  // namespace

void SkipCodes::read(const SkipShape& shape, const float* image) {
  shape_ = shape;
  pitch_ = (shape.channels + vector - 1) / vector * vector;
  words_.resize(static_cast<std::size_t>(shape.height * pitch_));
  codes_.resize(static_cast<std::size_t>(shape.height * shape.blocks() * pitch_));
  nonzero_words(shape, image, pitch_, words_.data());
  std::uint32_t pattern = 0;
  for (Index p = 0; p < SkipShape::block; ++p)
    pattern |= p * shape.column_stride < skip_width ? 1U << (p * shape.column_stride) : 0U;
  std::int64_t left = 0;
  std::uint32_t* to = codes_.data();
  for (Index y = 0; y < shape.height; ++y) {
    for (Index block = 0; block < shape.blocks(); ++block, to += pitch_) {
      const auto first = static_cast<unsigned>(block * SkipShape::block * shape.column_stride);
      left += code_row(words_.data() + y * pitch_, pitch_, first,
                       static_cast<unsigned>(shape.column_dilation), shape.taps, pattern, to);
    }
  }
  left_ = static_cast<double>(left) /
          static_cast<double>(shape.height * shape.blocks() * shape.channels * shape.taps);
}

Index SkipCodes::taps_of(Index row, Index block, Index first, Index count, std::int32_t* list) const {
  const Index rows = shape_.blocks() * pitch_;
  return list_taps({codes_.data() + row * shape_.row_stride * rows + block * pitch_ + first,
                    shape_.row_dilation * rows, shape_.kernel_rows, shape_.taps, count},
                   list);
}

void run_skip(const SkipPass& pass, Index positions, int panels) {
  switch (positions) {
    case 4:
      return run_lists<4>(pass, panels);
    case 3:
      return run_lists<3>(pass, panels);
    case 2:
      return run_lists<2>(pass, panels);
    default:
      return run_lists<1>(pass, panels);
  }
}

#else

void SkipCodes::read(const SkipShape&, const float*) {
  ensure(false, "wide vectors are there");
}

Index SkipCodes::taps_of(Index, Index, Index, Index, std::int32_t*) const {
  return 0;
}

void run_skip(const SkipPass&, Index, int) {}

#endif

}  // namespace temblor
