#include "support/fuzz.hpp"
#include "support/lines.hpp"

#include <temblor/campaign/spec.hpp>

using namespace temblor;
using namespace temblor::fuzz;

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most,
                                               unsigned seed) {
  return mutate_lines(data, size, most, seed);
}

/// A complete spec is written as a spec that says the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  judge(
      [&] {
        const std::string text(reinterpret_cast<const char*>(data), size);
        const Spec spec = parse_spec(text, "spec.toml", "");
        check_complete(spec);
        const std::string again = to_toml(spec);
        try {
          demand(to_toml(parse_spec(again, "again.toml", "")) == again, "a resolved spec stays as it is");
        } catch (const Error& error) {
          demand(false, "a resolved spec can be read: " + std::string(error.what()) + "\n" + again);
        }
      },
      Exit::usage);
  return 0;
}
