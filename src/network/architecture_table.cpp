#include "architectures/builder.hpp"

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {

const std::vector<ArchitectureEntry>& architecture_table() {
  static const std::vector<ArchitectureEntry> table = [] {
    const std::string residual = "He, Zhang, Ren, Sun, CVPR 2016, section 4.2, shortcuts of option A";
    std::vector<ArchitectureEntry> entries = {
        {"lenet5",
         "conv 6 @ 5x5, max-pool 2, conv 16 @ 5x5, max-pool 2, dense 120, 84, classes; images below 32 rows "
         "or columns get 2 zeros around (61,706 parameters for 1x28x28, 10 classes)",
         "LeCun, Bottou, Bengio, Haffner, Proc. IEEE 1998, with the maximum for pooling and full connections",
         false, make_lenet5},
        {"resnet8",
         "conv 16 @ 3x3, three residual blocks of two 3x3 convolutions with 16, 32, 64 channels, the second "
         "and third with stride 2, mean of each channel, dense",
         residual, true, make_resnet8},
        {"resnet20", "as resnet8, three blocks a stage", residual, true, make_resnet20},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && !entry.source.empty() && entry.make,
             "architecture table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

const ArchitectureEntry& find_architecture(std::string_view name) {
  std::vector<std::string> names;
  for (const auto& entry : architecture_table()) {
    if (entry.name == name) return entry;
    names.push_back(entry.name);
  }
  unknown_name("architecture", name, names);
}

bool is_sizes(const std::string& name) {
  return !name.empty() && ((name[0] >= '0' && name[0] <= '9') || name[0] == '-');
}

Network make_architecture(const std::string& name, const NetworkOrder& order) {
  if (is_sizes(name))
    return multilayer_perceptron(name, order.activation, order.biases, order.scaling, order.input);
  return find_architecture(name).make(order);
}

}  // namespace temblor
