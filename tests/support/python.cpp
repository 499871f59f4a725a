#include <cstdlib>
#include <iostream>

#include <support/python.hpp>

namespace temblor::testing {

std::string python_with_h5py() {
  for (const std::string python : {"python3", "/usr/bin/python3"}) {
    if (std::system((python + " -c 'import h5py, numpy' >/dev/null 2>&1").c_str()) == 0) return python;
  }
  std::cout << "skipped: no Python with h5py here (python3-h5py)\n";
  return "";
}

}  // namespace temblor::testing
