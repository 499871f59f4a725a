#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace temblor::safetensors {

using Dims = std::vector<std::uint64_t>;

inline constexpr std::uint64_t most_header = std::uint64_t{1} << 24U;  ///< bytes: names and sizes, no values

struct Entry {
  std::string type;
  Dims dims;
  std::uint64_t begin = 0;  ///< bytes from the end of the header
  std::uint64_t end = 0;
};

/// "[64, 3, 7, 7]"
std::string text_of(const Dims& dims);

/// A file: 8 bytes, the length of the header; the header, JSON; the values of all tensors one behind the
/// other. Bad-input error where the header is damaged, names something twice, or does not give every byte to
/// one tensor. Memory is taken for the header and for one tensor at a time, never more than the file has.
class File {
 public:
  explicit File(const std::string& path);

  const std::map<std::string, Entry>& entries() const { return entries_; }
  /// "tensor 'fc1.weight' in 'net.safetensors'"
  std::string title(const std::string& name) const;
  /// All values as float32, finite: bad-input error otherwise, and for types but F64, F32, F16 and BF16.
  /// `exact` becomes false when a value was rounded.
  std::vector<float> read(const std::string& name, bool& exact);

 private:
  [[noreturn]] void refuse(const std::string& why, const std::string& cure) const;
  double number(const std::string& type, const char* at, const std::string& name) const;
  nlohmann::json parse(const std::string& header) const;
  void read_entries(const nlohmann::json& header);
  void check_layout(std::uint64_t size) const;

  std::string path_;
  std::ifstream in_;
  std::uint64_t start_ = 0;  ///< of the values
  std::map<std::string, Entry> entries_;
};

}  // namespace temblor::safetensors
