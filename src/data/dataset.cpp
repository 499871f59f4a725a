#include "find.hpp"

#include <algorithm>
#include <cmath>
#include <span>

#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>

namespace temblor {
namespace {

void check_raw(const RawImages& raw, const std::string& name, Index most_classes) {
  const std::string file = raw.files.empty() ? name : raw.files.front();
  if (raw.labels.empty()) input_error("'" + file + "' holds no images", "", "give a file with some");
  ensure(raw.values.rows() == static_cast<Index>(raw.labels.size()) && raw.values.cols() == raw.shape.size(),
         "a reader gives one label an image of its shape");
  const Index most = most_classes > 0 ? most_classes - 1 : most_label;
  for (std::size_t i = 0; i < raw.labels.size(); ++i) {
    if (raw.labels[i] >= 0 && raw.labels[i] <= most) continue;
    input_error(
        "label " + std::to_string(raw.labels[i]) + " of image " + std::to_string(i) + " in '" + file + "'",
        "not in 0.." + std::to_string(most), "number the classes from 0");
  }
}

void scale_rows(Matrix& values, const InputScaling& scaling, const Shape& shape) {
  const auto channels = std::max(scaling.mean.size(), scaling.std.size());
  const Index given = static_cast<Index>(channels);
  const bool fits =
      given == 1 || (shape.dims.size() == 3 ? given == shape.dims[0] : shape.size() % given == 0);
  const auto alike = [&](const auto& list) { return list.size() == 1 || list.size() == channels; };
  if (!fits || !alike(scaling.mean) || !alike(scaling.std)) {
    input_error("the input scaling has " + std::to_string(given) + " channels", "images are " + shape.text(),
                "give one mean and std, or one a channel");
  }
  const auto at = [](const std::vector<double>& list, std::size_t c) {
    return list.size() == 1 ? list.front() : list.at(c);
  };
  const Index width = shape.size() / given;
  for (Index row = 0; row < values.rows(); ++row) {
    for (std::size_t c = 0; c < channels; ++c) {
      const double mean = at(scaling.mean, c);
      const double std = at(scaling.std, c);
      float* value = values.row(row).data() + static_cast<Index>(c) * width;
      for (Index i = 0; i < width; ++i)
        value[i] = static_cast<float>((value[i] * scaling.scale - mean) / std);
    }
  }
}

std::string digest(const Dataset& data) {
  Sha256 sha;
  sha.add("temblor images 1\n" + data.shape.text() + " " + std::to_string(data.classes) + " " +
          std::to_string(data.size()) + "\n");
  const auto count = static_cast<std::size_t>(data.images.size());
  sha.add(std::as_bytes(std::span(data.images.data(), count)));
  sha.add(std::as_bytes(std::span(data.labels)));
  sha.add(std::as_bytes(std::span(data.index)));
  return sha.hex();
}

}  // namespace

RawImages read_images(const DataRequest& request) {
  const Source source = find_source(request);
  RawImages raw = source.entry->read(source.path, request.split);
  check_raw(raw, request.set, source.entry->classes);
  raw.kind = source.entry->name;
  raw.classes = source.entry->classes;
  if (raw.classes == 0) raw.classes = *std::max_element(raw.labels.begin(), raw.labels.end()) + 1;
  return raw;
}

Dataset load_dataset(const DataRequest& request, const InputScaling& scaling) {
  RawImages raw = read_images(request);
  Dataset data;
  data.name = request.set;
  data.split = request.split;
  data.select = request.select;
  data.shape = raw.shape;
  data.classes = raw.classes;
  data.index = select_images(request.select, raw.labels, data.classes);
  if (data.index.size() == raw.labels.size()) {
    data.images = std::move(raw.values);
  } else {
    data.images.resize(static_cast<Index>(data.index.size()), raw.values.cols());
    for (std::size_t i = 0; i < data.index.size(); ++i) {
      data.images.row(static_cast<Index>(i)) = raw.values.row(data.index[i]);
    }
  }
  for (const auto row : data.index) data.labels.push_back(raw.labels[static_cast<std::size_t>(row)]);
  scale_rows(data.images, scaling, data.shape);
  if (raw.bytes) {
    Matrix ends(2, data.shape.size());
    ends.row(0).setConstant(0.0F);
    ends.row(1).setConstant(255.0F);
    scale_rows(ends, scaling, data.shape);
    // A negative scale turns the range over.
    data.least = ends.colwise().minCoeff().transpose();
    data.most = ends.colwise().maxCoeff().transpose();
  }
  data.scaling = scaling;
  data.files = std::move(raw.files);
  data.id = digest(data);
  return data;
}

void check_fits(const Network& network, const std::string& network_name, const Dataset& data) {
  const Shape& input = network.input();
  const bool same = input.dims.size() == 3 ? input == data.shape : input.size() == data.shape.size();
  if (!same) {
    input_error("network '" + network_name + "' takes images of " + input.text(),
                "those of '" + data.name + "' are " + data.shape.text(),
                "give data and network that belong together");
  }
  if (data.classes > network.classes()) {
    input_error("network '" + network_name + "' has " + std::to_string(network.classes()) + " classes",
                "'" + data.name + "' has " + std::to_string(data.classes),
                "give data and network that belong together");
  }
}

}  // namespace temblor
