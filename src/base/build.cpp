#include <provenance.hpp>

#include <temblor/base/build.hpp>
#include <temblor/base/text.hpp>

namespace temblor {

const BuildInfo& build_info() {
  static const BuildInfo info = [] {
    BuildInfo made{TEMBLOR_VERSION, TEMBLOR_GIT, TEMBLOR_COMPILER, TEMBLOR_FLAGS, {}};
    for (const auto& library : split(TEMBLOR_LIBRARIES, ',')) {
      const auto blank = library.find(' ');
      made.libraries.emplace_back(library.substr(0, blank), library.substr(blank + 1));
    }
    return made;
  }();
  return info;
}

}  // namespace temblor
