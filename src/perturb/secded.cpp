#include <bit>

#include <temblor/base/error.hpp>
#include <temblor/perturb/secded.hpp>

namespace temblor {
namespace {

/// Columns of weight 3 that (39,32) leaves out, so that every row has 13 or 14 ones.
constexpr std::uint32_t left_out[] = {0b0000111, 0b0111000, 0b1000011};

bool is_left_out(std::uint32_t column) {
  for (const auto other : left_out) {
    if (column == other) return true;
  }
  return false;
}

}  // namespace

Secded::Secded(int data_bits) : check_bits_(data_bits == 64 ? 8 : 7) {
  ensure(data_bits == 64 || data_bits == 32, "the codes are (72,64) and (39,32)");
  for (std::uint32_t column = 0; column < 1U << check_bits_; ++column) {
    if (std::popcount(column) == 3 && (data_bits == 64 || !is_left_out(column))) columns_.push_back(column);
  }
  // The rotations of five ones: every row gets five.
  for (int turn = 0; data_bits == 64 && turn < 8; ++turn) {
    columns_.push_back(std::rotl(std::uint8_t{0b00011111}, turn));
  }
  ensure(columns_.size() == static_cast<std::size_t>(data_bits), "one column a data bit");
  place_.assign(std::size_t{1} << check_bits_, -1);
  for (int i = 0; i < data_bits; ++i) place_[column(i)] = i;
  for (int k = 0; k < check_bits_; ++k) place_[std::size_t{1} << k] = data_bits + k;
}

std::uint32_t Secded::encode(std::uint64_t data) const {
  std::uint32_t check = 0;
  for (; data != 0; data &= data - 1) check ^= columns_[static_cast<std::size_t>(std::countr_zero(data))];
  return check;
}

Secded::Decoded Secded::decode(std::uint64_t data, std::uint32_t check) const {
  const std::uint32_t syndrome = encode(data) ^ check;
  if (syndrome == 0) return {data, false, false};
  const int place = place_[syndrome];
  if (place < 0) return {data, false, true};
  if (place < data_bits()) data ^= std::uint64_t{1} << place;
  return {data, true, false};
}

}  // namespace temblor
