#include <limits>

#include <support/result.hpp>

#include <temblor/base/text.hpp>
#include <temblor/campaign/result_file.hpp>

namespace temblor::testing {
namespace {

template <class T>
void column(const hdf5::File& file, const std::string& path, const std::vector<T>& values) {
  write_item(file, path, std::span<const T>(values), {values.size()});
}

template <class T>
void grid(const hdf5::File& file, const std::string& path, const std::vector<T>& values) {
  write_item(file, path, std::span<const T>(values), {2, values.size() / 2});
}

using Whole = std::vector<std::int64_t>;
using Real = std::vector<double>;
constexpr double infinity = std::numeric_limits<double>::infinity();

void write_common(const hdf5::File& file, double eps) {
  Matrix logits(2, 3);
  logits << 2.0F, 1.0F, 0.0F, 0.0F, 1.0F, 1.5F;
  write_samples(file, {10, 11}, {0, 1}, {"fp32", "int8"}, {&logits, &logits});
  write_threats(file,
                {{"linf eps=" + to_text(eps) + " layers=all biases=false", "linf", eps, "all", false, 0},
                 {"bits", "bits", 1, "0", false, 1}});
  MatrixD value(2, 3);
  value << 0, 1.25, 1.5, 0.25, 0, 0.75;
  write_bound(file, {"interval", "sound", "theory, section 3", "outward", {0}, false, {1}, {"bits"}},
              {{value, {}}});
}

void write_points(const hdf5::File& file) {
  column(file, "/points/index", Whole{0, 1});
  write_item(file, "/points/attack", {"weight-pgd", "bit-flip"});
  column(file, "/points/format", Whole{0, 1});
  write_item(file, "/points/layers", {"all", "0"});
  column(file, "/points/severity", Real{1e-3, 1});
  column(file, "/points/acting", Real{1e-3, 1});
  write_item(file, "/points/quantity", {"eps", "flips"});
  write_item(file, "/points/unit", {"weight", "bits"});
  write_item(file, "/points/params", {"steps=10", "mode=exact, \"k\""});
  column(file, "/points/threat", Whole{0, 1});
  column(file, "/points/first_trial", Whole{0, 1});
  column(file, "/points/trials", Whole{1, 2});
  column(file, "/points/per_sample", std::vector<std::uint8_t>{1, 0});
}

void write_trials(const hdf5::File& file) {
  column(file, "/trials/index", Whole{0, 1, 2});
  column(file, "/trials/point", Whole{0, 1, 1});
  column(file, "/trials/trial", Whole{0, 0, 1});
  column(file, "/trials/outcome", std::vector<std::uint8_t>{1, 1, 2});
  column(file, "/trials/changed_weights", Whole{12, 1, 0});
  column(file, "/trials/flipped_bits", Whole{0, 1, 0});
  for (const auto* name : {"linf", "l2", "relative"}) {
    column(file, std::string("/trials/") + name, Real{1e-3, 0.5, 0});
  }
  for (const auto* name :
       {"correct", "argmax_correct", "changed", "changed_top5", "broken", "fixed", "no_prediction"}) {
    column(file, std::string("/trials/") + name, Whole{1, 0, 0});
  }
  column(file, "/trials/drop_sum", Real{1.5, 0.25, 0});
  column(file, "/trials/drop_max", Real{1.0, infinity, 0});
  column(file, "/trials/worst_sample", Whole{0, 1, -1});
}

void write_margins(const hdf5::File& file) {
  grid(file, "/margins/worst_drop", Real{1.0, 0.5, 0.25, infinity});
  grid(file, "/margins/worst_trial", Whole{0, 0, 0, 0});
  grid(file, "/margins/worst_pair_drop", Real{1.0, 0.5, 0.25, infinity});
  grid(file, "/margins/worst_pair_class", std::vector<std::int32_t>{1, 2, 1, 2});
  grid(file, "/margins/worst_pair_trial", Whole{0, 0, 0, 0});
  grid(file, "/margins/drop_sum", Real{1.0, 0.5, 0.25, 0});
  grid(file, "/margins/nonfinite", Whole{0, 0, 0, 1});
}

}  // namespace

void make_result(const std::string& path, int violated) {
  const auto file = hdf5::File::create(path);
  hdf5::stamp(file, result_filetype, result_major, result_minor);
  write_common(file, 1e-3);
  write_points(file);
  write_trials(file);
  write_margins(file);
  write_checks(file,
               {{0, "interval", 0, 2, violated, 1e-9, 0.8, {0.1, 0.2, 0.3, 0.4, 0.8}, 0, 0, 1.0, 1.25}});
}

void make_bounds(const std::string& path, double eps) {
  const auto file = hdf5::File::create(path);
  hdf5::stamp(file, bounds_filetype, result_major, result_minor);
  write_common(file, eps);
}

}  // namespace temblor::testing
