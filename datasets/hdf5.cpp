#include "readers.hpp"

#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor {

RawImages read_hdf5(const std::string& path, Split split) {
  const hdf5::File file = hdf5::File::open(path, hdf5::File::Mode::read);
  const std::string part = split == Split::train ? "train" : "test";
  const bool parts = file.has(part) && !file.is_dataset(part);
  const hdf5::Group group = parts ? file.group(part) : hdf5::Group(file);
  const std::string prefix = parts ? "/" + part : "";
  const auto refuse = [&](const std::string& object, const std::string& why) {
    input_error("'" + prefix + "/" + object + "' in '" + path + "'", why,
                "store images [n x values] or [n x channels x height x width], and labels [n]");
  };
  for (const auto* name : {"images", "labels"}) {
    if (!group.is_dataset(name)) refuse(name, "there is no such dataset");
  }
  const auto dims = group.dims("images");
  if (dims.size() < 2 || dims.size() > 4)
    refuse("images", "it has " + std::to_string(dims.size()) + " dimensions");
  if (group.dims("labels") != hdf5::Dims{dims[0]}) {
    refuse("labels",
           "there are " + std::to_string(dims[0]) + " images, and labels of another number or shape");
  }
  std::uint64_t size = 1;
  RawImages raw;
  raw.files = {path};
  if (dims.size() == 3) raw.shape.dims.push_back(1);
  for (std::size_t d = 1; d < dims.size(); ++d) {
    if (dims[d] == 0 || dims[d] > most_values / size)
      refuse("images", "dimension " + std::to_string(d) + " is impossible");
    size *= dims[d];
    raw.shape.dims.push_back(static_cast<Index>(dims[d]));
  }
  raw.labels = group.read<std::int32_t>("labels", most_values);
  const auto values = group.read<float>("images", most_values);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (!std::isfinite(values[i]))
      refuse("images", "image " + std::to_string(i / size) + " has a value " + to_text(values[i]));
  }
  raw.bytes = group.type("images") == "uint8";
  resize_images(raw.values, dims[0], size, path);
  std::copy(values.begin(), values.end(), raw.values.data());
  return raw;
}

}  // namespace temblor
