#include "readers.hpp"

#include <algorithm>
#include <cmath>

#include <temblor/base/error.hpp>
#include <temblor/base/params.hpp>
#include <temblor/base/text.hpp>
#include <temblor/random/stream.hpp>

namespace temblor {
namespace {

const std::vector<ParamSpec>& specs() {
  static const std::vector<ParamSpec> list = {
      {"classes", ParamType::integer, "3", "number of classes", "", 2, 1000},
      {"features", ParamType::integer, "8", "values of an image", "", 1, 1000000},
      {"shape", ParamType::text, "", "channels x height x width of an image, as in 1x12x12, for features", "",
       0, 0},
      {"n", ParamType::integer, "200", "images of a split", "", 1, 10000000},
      {"seed", ParamType::integer, "1", "seed of centres and images", "", 0, 9007199254740992.0},
      {"noise", ParamType::real, "0.5", "standard deviation within a class, that between centres being 1", "",
       0, 100},
  };
  return list;
}

std::map<std::string, std::string> given(const std::string& parameters) {
  std::map<std::string, std::string> values;
  if (parameters.empty()) return values;
  for (const auto& part : split(parameters, ',')) {
    const auto equal = part.find('=');
    if (equal == std::string::npos) {
      usage_error("data set 'synthetic', '" + part + "'", "not NAME=VALUE",
                  "write it as in synthetic:classes=3,n=200");
    }
    if (!values.emplace(part.substr(0, equal), part.substr(equal + 1)).second) {
      usage_error("data set 'synthetic', '" + part + "'", "given twice", "give it once");
    }
  }
  return values;
}

Shape shape_of(const Params& params) {
  const std::string text = params.text("shape");
  if (text.empty()) return {{static_cast<Index>(params.integer("features"))}};
  Shape shape;
  for (const auto& part : split(text, 'x'))
    shape.dims.push_back(static_cast<Index>(parse_integer(part, "data set 'synthetic', shape", 1, 1000)));
  if (shape.dims.size() != 3 || shape.size() > 1'000'000) {
    usage_error("data set 'synthetic', shape=" + text,
                "not channels x height x width, a million values at most", "write it as in shape=1x12x12");
  }
  return shape;
}

}  // namespace

/// Image i of class i % classes: centre of its class plus noise, both standard normal, as whole numbers
/// 0..255 like the bytes of a picture (128 + 40 v). Image i does not depend on n.
RawImages read_synthetic(const std::string& parameters, Split split) {
  const Params params("data set 'synthetic'", specs(), given(parameters));
  const auto classes = params.integer("classes");
  const Shape shape = shape_of(params);
  const Index features = shape.size();
  const auto n = params.integer("n");
  const auto seed = static_cast<std::uint64_t>(params.integer("seed"));
  const double noise = params.real("noise");

  MatrixD centres(classes, features);
  for (Index c = 0; c < classes; ++c) {
    Stream stream(seed, {0, static_cast<std::uint32_t>(c), 0});
    for (Index f = 0; f < features; ++f) centres(c, f) = stream.normal();
  }
  RawImages raw;
  raw.shape = shape;
  raw.bytes = true;
  resize_images(raw.values, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(features), "synthetic");
  for (Index i = 0; i < n; ++i) {
    raw.labels.push_back(static_cast<std::int32_t>(i % classes));
    Stream stream(seed, {split == Split::train ? 1U : 2U, static_cast<std::uint32_t>(i), 0});
    for (Index f = 0; f < features; ++f) {
      const double value = 128 + 40 * (centres(i % classes, f) + noise * stream.normal());
      raw.values(i, f) = static_cast<float>(std::clamp(std::round(value), 0.0, 255.0));
    }
  }
  return raw;
}

}  // namespace temblor
