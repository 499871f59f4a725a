#pragma once

#include <cstdint>
#include <vector>

namespace temblor {

/// A single-error-correcting, double-error-detecting code with columns of odd weight (M. Y. Hsiao, IBM
/// Journal of Research and Development 14, 1970): (72,64) with 8 check bits, (39,32) with 7. Data bit i has
/// column i of the parity-check matrix: all of weight 3, then (72,64) eight of weight 5, every row of nearly
/// the same weight. Check bit k has the unit column 1 << k.
class Secded {
 public:
  /// `data_bits`: 64 or 32; broken contract otherwise.
  explicit Secded(int data_bits);

  int data_bits() const { return static_cast<int>(columns_.size()); }
  int check_bits() const { return check_bits_; }
  std::uint32_t column(int data_bit) const { return columns_[static_cast<std::size_t>(data_bit)]; }

  /// Check bits of a data word.
  std::uint32_t encode(std::uint64_t data) const;

  struct Decoded {
    std::uint64_t data;  ///< after correction; as read where `detected`
    bool corrected;      ///< the decoder inverted one bit, of the data or of the check bits
    bool detected;       ///< not zero and no column of the matrix: an error of more than one bit
  };
  /// What the decoder makes of a word as read. The code is linear: applied to the inverted bits alone
  /// (data and check), `data` is what remains wrong.
  Decoded decode(std::uint64_t data, std::uint32_t check) const;

 private:
  int check_bits_;
  std::vector<std::uint32_t> columns_;
  std::vector<int> place_;  ///< [2^check bits]: bit with that column, check bits after the data; -1: none
};

}  // namespace temblor
