#include "codes_file.hpp"

#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

std::size_t entries_of(const Format& format, std::size_t rows) {
  return format.quantiser.per_channel ? rows : 1;
}

/// Whole numbers of a dataset, each within [least, most].
std::vector<std::int64_t> read_whole(const hdf5::Group& group, const std::string& name, std::int64_t least,
                                     std::int64_t most, const std::string& cure) {
  auto values = group.read<std::int64_t>(name);
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= least && values[i] <= most) continue;
    refuse(group, group.path() + "/" + name,
           "entry " + std::to_string(i) + " is " + std::to_string(values[i]) + ", outside " +
               std::to_string(least) + " to " + std::to_string(most),
           cure);
  }
  return values;
}

/// A dataset of one entry a layer or an output must be there exactly when the format has it.
bool check_entries(const hdf5::Group& group, const std::string& name, bool wanted, const Format& format,
                   std::size_t rows) {
  const std::string path = group.path() + "/" + name;
  if (!wanted) {
    if (group.has(name)) {
      refuse(group, path, "format " + format.name + " has none", "remove it or correct the format");
    }
    return false;
  }
  const std::size_t count = entries_of(format, rows);
  const std::string cure = "store " + std::to_string(count) + (count == 1 ? " value" : " values") +
                           (format.quantiser.per_channel ? ", one an output" : ", one for the layer");
  if (!group.has(name)) refuse(group, path, "it is missing, format " + format.name + " needs it", cure);
  const auto dims = group.dims(name);
  const bool scalar = dims.empty() && count == 1;
  if (!scalar && !(dims.size() == 1 && dims[0] == count)) {
    std::uint64_t size = 1;
    for (const auto dim : dims) size *= dim;
    refuse(group, path,
           "it has " + std::to_string(size) + " values in " + std::to_string(dims.size()) + " dimensions",
           cure);
  }
  return true;
}

const Format& read_format(const hdf5::Group& group) {
  const std::string path = group.path() + "/@format";
  const auto name = group.text("format");
  if (!name) refuse(group, path, "it is missing", "name the format of the codes, as in 'int8'");
  try {
    return find_format(*name);
  } catch (const Error& error) {
    throw Error(Exit::bad_input, "'" + path + "' in '" + group.file_name() + "': " + error.what(), "", "");
  }
}

}  // namespace

Encoded read_codes(const hdf5::Group& group) {
  const Format& format = read_format(group);
  const std::string path = group.path() + "/codes";
  const auto dims = group.dims("codes");
  if (dims.size() != 2 || dims[0] == 0 || dims[1] == 0) {
    refuse(group, path, "it has " + std::to_string(dims.size()) + " dimensions, two above 0 are needed",
           "store whole numbers [outputs x inputs]");
  }
  Encoded encoded{&format, dims[0], dims[1], {}, {}, {}};
  const bool has_scale = check_entries(group, "scale", format.scaled, format, encoded.rows);
  const bool has_zero = check_entries(group, "zero_point", format.quantiser.affine, format, encoded.rows);
  const std::int64_t patterns = std::int64_t{1} << format.bits;
  const std::string cure =
      "store bit patterns of " + std::to_string(format.bits) + " bits, one an element, as unsigned numbers";
  for (const auto code : read_whole(group, "codes", 0, patterns - 1, cure)) {
    encoded.codes.push_back(static_cast<std::uint32_t>(code));
  }
  if (has_scale) encoded.scale = group.read<float>("scale");
  for (std::size_t i = 0; i < encoded.scale.size(); ++i) {
    if (std::isfinite(encoded.scale[i]) && encoded.scale[i] >= 0) continue;
    refuse(group, group.path() + "/scale", "entry " + std::to_string(i) + " is " + to_text(encoded.scale[i]),
           "store finite numbers from 0 up");
  }
  if (has_zero) {
    const std::int64_t least = format.order == CodeOrder::offset ? 0 : -patterns / 2;
    for (const auto zero :
         read_whole(group, "zero_point", least, least + patterns - 1, "store the code whose weight is 0")) {
      encoded.zero_point.push_back(static_cast<std::int32_t>(zero));
    }
  }
  return encoded;
}

void write_codes(const hdf5::Group& group, const Encoded& encoded) {
  group.set_text("format", encoded.format->name);
  const hdf5::Dims dims{encoded.rows, encoded.cols};
  if (encoded.format->bits <= 8) {
    const std::vector<std::uint8_t> bytes(encoded.codes.begin(), encoded.codes.end());
    group.write<std::uint8_t>("codes", bytes, dims);
  } else {
    group.write<std::uint32_t>("codes", encoded.codes, dims);
  }
  if (!encoded.scale.empty()) group.write<float>("scale", encoded.scale, {encoded.scale.size()});
  if (!encoded.zero_point.empty()) {
    group.write<std::int32_t>("zero_point", encoded.zero_point, {encoded.zero_point.size()});
  }
}

}  // namespace temblor
