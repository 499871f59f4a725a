#include <array>
#include <limits>
#include <utility>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/cli/memory_option.hpp>

namespace temblor::cli {

Option activation_memory_option() {
  return {.name = "activation-memory",
          .value = "SIZE",
          .help =
              "memory for the activations of the faultless network, as in 512MiB, 2GiB or unlimited; what "
              "does not fit is computed again when it is needed: the same results, slower",
          .initial = "2GiB"};
}

std::int64_t activation_memory(const Arguments& arguments) {
  return parse_bytes(arguments.required("activation-memory"), "--activation-memory");
}

std::int64_t parse_bytes(const std::string& text, const std::string& what) {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  if (text == "unlimited") return most;
  constexpr std::array<std::pair<const char*, double>, 8> units{{{"KiB", 0x1p10},
                                                                 {"MiB", 0x1p20},
                                                                 {"GiB", 0x1p30},
                                                                 {"TiB", 0x1p40},
                                                                 {"kB", 1e3},
                                                                 {"MB", 1e6},
                                                                 {"GB", 1e9},
                                                                 {"TB", 1e12}}};
  std::string number = text;
  double unit = 1;
  for (const auto& [name, bytes] : units) {
    if (!number.ends_with(name)) continue;
    number.resize(number.size() - std::string(name).size());
    unit = bytes;
    break;
  }
  if (number.empty())
    usage_error(what + " '" + text + "'", "it has no number", "write it as in 512MiB or 2GiB");
  const double bytes = parse_real(number, what, 0, 0x1p62) * unit;
  return bytes < 0x1p62 ? static_cast<std::int64_t>(bytes) : most;
}

}  // namespace temblor::cli
