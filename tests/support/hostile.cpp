#include <algorithm>

#include <support/hostile.hpp>

namespace temblor::testing {

std::string spoil(std::string bytes, Stream& stream) {
  const std::size_t times = 1 + stream.below(3);
  for (std::size_t i = 0; i < times && !bytes.empty(); ++i) {
    const std::size_t at = stream.below(bytes.size());
    const std::size_t length = std::min<std::size_t>(1 + stream.below(16), bytes.size() - at);
    switch (stream.below(7)) {
      case 0:
        bytes[at] = static_cast<char>(stream.below(256));
        break;
      case 1:
        bytes[at] = static_cast<char>(static_cast<unsigned char>(bytes[at]) ^ (1U << stream.below(8)));
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3:
        bytes.erase(at, length);
        break;
      case 4:
        bytes.insert(at, bytes.substr(at, length));
        break;
      case 5:
        bytes.replace(at, length, length, stream.below(2) == 0 ? '\0' : '\xff');
        break;
      default:
        for (std::size_t k = 0; k < length; ++k) bytes[at + k] = static_cast<char>(stream.below(256));
    }
  }
  return bytes;
}

}  // namespace temblor::testing
