#include <cstdlib>
#include <iostream>

#include <support/python.hpp>

namespace temblor::testing {

std::string python_with(const std::string& modules, const std::string& packages) {
  for (const std::string python : {"python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import " + modules + "' >/dev/null 2>&1").c_str()) == 0) return python;
  }
  std::cout << "skipped: no Python with " << modules << " here (" << packages << ")\n";
  return "";
}

std::string python_with_h5py() {
  return python_with("h5py, numpy", "python3-h5py");
}

}  // namespace temblor::testing
