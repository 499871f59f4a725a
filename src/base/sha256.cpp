#include <array>
#include <fstream>
#include <vector>

#include <openssl/evp.h>

#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>

namespace temblor {

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  State() {
    ensure(context && EVP_DigestInit_ex(context, EVP_sha256(), nullptr) == 1, "SHA-256 is available");
  }
  ~State() { EVP_MD_CTX_free(context); }
  State(const State&) = delete;
  State& operator=(const State&) = delete;
};

Sha256::Sha256() : state_(std::make_unique<State>()) {}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::add(std::span<const std::byte> bytes) {
  ensure(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1, "SHA-256 takes more bytes");
  return *this;
}

Sha256& Sha256::add(std::string_view text) {
  return add(std::as_bytes(std::span(text.data(), text.size())));
}

std::string Sha256::hex() {
  std::array<unsigned char, 32> digest{};
  unsigned length = 0;
  ensure(EVP_DigestFinal_ex(state_->context, digest.data(), &length) == 1 && length == digest.size(),
         "SHA-256 ends");
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const unsigned char byte : digest) text.append({digits[byte >> 4U], digits[byte & 15U]});
  return text;
}

std::string sha256_hex(std::string_view text) {
  return Sha256().add(text).hex();
}

std::string sha256_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) input_error("cannot read " + path, "it does not exist or is not readable", "check the path");
  Sha256 digest;
  std::vector<char> block(1U << 20U);
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    digest.add(std::string_view(block.data(), static_cast<std::size_t>(file.gcount())));
  }
  if (file.bad())
    input_error("cannot read " + path, "an input error in the middle of the file", "check the disk");
  return digest.hex();
}

}  // namespace temblor
