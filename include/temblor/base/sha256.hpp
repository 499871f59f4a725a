#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace temblor {

/// SHA-256 (FIPS 180-4) of a byte stream given in pieces; ids of campaigns, points and inputs are its hex
/// digests.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& add(std::span<const std::byte> bytes);
  Sha256& add(std::string_view text);
  /// 64 lower-case hex digits; the object is spent afterwards.
  std::string hex();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view text);
/// Digest of a file's bytes; bad-input error naming the file when it cannot be read.
std::string sha256_file(const std::string& path);

}  // namespace temblor
