#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/campaign/certify_file.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor {
namespace {

using hdf5::Dims;
constexpr double none = std::numeric_limits<double>::quiet_NaN();

std::vector<std::int64_t> count_up(std::size_t n) {
  std::vector<std::int64_t> index(n);
  std::iota(index.begin(), index.end(), std::int64_t{0});
  return index;
}

template <class T>
void item(const hdf5::Group& file, const std::string& path, const std::vector<T>& values, const Dims& dims) {
  write_item(file, path, std::span<const T>(values), dims);
}

class Writer {
 public:
  Writer(const hdf5::Group& file, const CertifyRequest& request, const Certificates& certificates)
      : file_(file),
        request_(request),
        certificates_(certificates),
        cases_(request.layers.size()),
        bounds_(request.bounds.size()),
        severities_(request.severities.size()),
        images_(static_cast<std::size_t>(request.data.size())),
        levels_(std::size(check_quantiles)),
        rows_(summarise(request, certificates)) {}

  void write() {
    names();
    images();
    folds();
    if (!certificates_.attacks.empty()) attacks();
  }

 private:
  void names() {
    const auto& network = request_.stored.network;
    std::vector<std::string> layers;
    std::vector<ThreatRow> threats;
    for (const auto& choice : request_.layers) {
      layers.push_back(layers_text(choice, network));
      for (const double severity : request_.severities) {
        const auto set = request_.family.at(severity, choice);
        threats.push_back(threat_row(set, network, 0));
      }
    }
    write_threats(file_, threats);
    item(file_, "/certificates/threat", count_up(threats.size()), {cases_, severities_});
    item(file_, "/cases/index", count_up(cases_), {cases_});
    write_item(file_, "/cases/layers", layers);
    item(file_, "/severities/value", request_.severities, {severities_});
    std::vector<std::string> name, params, guarantee, reference, refused;
    for (std::size_t b = 0; b < bounds_; ++b) {
      const auto& [entry, given] = request_.bounds[b];
      name.push_back(entry->name);
      params.push_back(given.canonical());
      guarantee.push_back(entry->guarantee);
      reference.push_back(entry->reference);
      refused.emplace_back();
      for (const auto& choice : certificates_.bounds)
        if (refused.back().empty()) refused.back() = choice[b].refused;
    }
    item(file_, "/certifiers/index", count_up(bounds_), {bounds_});
    write_item(file_, "/certifiers/name", name);
    write_item(file_, "/certifiers/params", params);
    write_item(file_, "/certifiers/guarantee", guarantee);
    write_item(file_, "/certifiers/reference", reference);
    write_item(file_, "/certifiers/refused", refused);
    item(file_, "/certificates/level",
         std::vector<double>(std::begin(check_quantiles), std::end(check_quantiles)), {levels_});
  }

  template <class T, class Field>
  std::vector<T> gather(Field field, std::size_t size, T missing) const {
    std::vector<T> values;
    for (const auto& choice : certificates_.bounds) {
      for (const auto& certificate : choice) {
        const auto& part = field(certificate);
        for (std::size_t i = 0; i < size; ++i)
          values.push_back(certificate.refused.empty() ? static_cast<T>(part.data()[i]) : missing);
      }
    }
    return values;
  }

  void images() {
    const Dims dims{cases_, bounds_, severities_, images_};
    const auto size = severities_ * images_;
    const auto real = [&](const char* path, MatrixD Certificate::*member) {
      item(file_, path,
           gather<double>([&](const Certificate& c) -> const MatrixD& { return c.*member; }, size, none),
           dims);
    };
    const auto flag = [&](const char* path, Flags Certificate::*member) {
      item(file_, path,
           gather<std::uint8_t>([&](const Certificate& c) -> const Flags& { return c.*member; }, size,
                                std::uint8_t{0}),
           dims);
    };
    real("/certificates/drop", &Certificate::drop);
    flag("/certificates/proven", &Certificate::proven);
    if (request_.arithmetic) {
      real("/certificates/drop_float32", &Certificate::drop_float32);
      flag("/certificates/proven_float32", &Certificate::proven_float32);
    }
    if (!request_.grid) return;
    const auto radius = gather<double>(
        [](const Certificate& c) -> const std::vector<double>& { return c.radius; }, images_, none);
    item(file_, "/certificates/radius", radius, {cases_, bounds_, images_});
    std::vector<double> levels;
    for (std::size_t first = 0; first < radius.size(); first += images_) {
      const std::vector<double> part(radius.begin() + static_cast<std::ptrdiff_t>(first),
                                     radius.begin() + static_cast<std::ptrdiff_t>(first + images_));
      const auto row =
          std::isnan(part.front()) ? std::vector<double>(levels_, none) : quantiles(part, check_quantiles);
      levels.insert(levels.end(), row.begin(), row.end());
    }
    item(file_, "/certificates/radius_quantile", levels, {cases_, bounds_, levels_});
  }

  template <class T>
  std::vector<T> fold(T CertifySummary::*member, T missing) const {
    std::vector<T> values(cases_ * bounds_ * severities_, missing);
    for (const auto& row : rows_)
      values[(row.layers * bounds_ + row.bound) * severities_ + row.severity] = row.*member;
    return values;
  }
  void levels(const char* path, std::vector<double> CertifySummary::*member) const {
    std::vector<double> values;
    bool any = false;
    for (const auto& row : fold(member, std::vector<double>(levels_, none))) {
      any = any || !row.empty();
      const auto full = row.empty() ? std::vector<double>(levels_, none) : row;
      values.insert(values.end(), full.begin(), full.end());
    }
    if (any) item(file_, path, values, {cases_, bounds_, severities_, levels_});
  }

  void folds() {
    const Dims dims{cases_, bounds_, severities_};
    item(file_, "/certificates/certified", fold(&CertifySummary::certified, std::int64_t{-1}), dims);
    if (request_.arithmetic) {
      item(file_, "/certificates/certified_float32",
           fold(&CertifySummary::certified_float32, std::int64_t{-1}), dims);
    }
    item(file_, "/certificates/mean_drop", fold(&CertifySummary::mean_drop, none), dims);
    if (!certificates_.attacks.empty()) {
      levels("/certificates/tightness", &CertifySummary::tightness);
      item(file_, "/certificates/violated", fold(&CertifySummary::violated, std::int64_t{-1}), dims);
    }
    const bool exact =
        std::any_of(rows_.begin(), rows_.end(), [](const auto& r) { return !r.to_exact.empty(); });
    if (exact) levels("/certificates/to_exact", &CertifySummary::to_exact);
  }

  void attacks() {
    std::vector<std::string> name, params;
    for (const auto& attack : request_.attacks) {
      name.push_back(attack.entry->name);
      params.push_back(attack.params.canonical());
    }
    write_item(file_, "/attacked/attack", name);
    write_item(file_, "/attacked/params", params);
    std::vector<double> drop, mean, radius, level;
    std::vector<std::int64_t> standing;
    for (const auto& attacked : certificates_.attacks) {
      drop.insert(drop.end(), attacked.drop.data(), attacked.drop.data() + attacked.drop.size());
      for (Index s = 0; s < attacked.drop.rows(); ++s) {
        const auto fold = attack_summary(attacked.drop.row(s), certificates_.margin);
        mean.push_back(fold.mean_drop);
        standing.push_back(fold.standing);
      }
      radius.insert(radius.end(), attacked.radius.begin(), attacked.radius.end());
      if (attacked.radius.empty()) continue;
      const auto row = quantiles(attacked.radius, check_quantiles);
      level.insert(level.end(), row.begin(), row.end());
    }
    item(file_, "/attacked/drop", drop, {cases_, severities_, images_});
    item(file_, "/attacked/mean_drop", mean, {cases_, severities_});
    item(file_, "/attacked/standing", standing, {cases_, severities_});
    if (radius.empty()) return;
    item(file_, "/attacked/radius", radius, {cases_, images_});
    item(file_, "/attacked/radius_quantile", level, {cases_, levels_});
  }

  const hdf5::Group& file_;
  const CertifyRequest& request_;
  const Certificates& certificates_;
  std::size_t cases_, bounds_, severities_, images_, levels_;
  std::vector<CertifySummary> rows_;
};

}  // namespace

void write_certificates(const hdf5::File& file, const CertifyRequest& request,
                        const Certificates& certificates) {
  hdf5::stamp(file, certificates_filetype, result_major, result_minor);
  const auto& quantity = request.family.quantity;
  file.set_text("quantity", quantity.unit.empty() ? quantity.name : quantity.name + ", " + quantity.unit);
  const std::vector<std::uint64_t> seed{request.seed};
  file.set<std::uint64_t>("seed", seed);
  if (request.grid) {
    const auto& grid = *request.grid;
    const std::vector<double> ends{grid[0], grid[grid.size() - 1]};
    const std::vector<double> tolerance{grid.size() > 1 ? grid[1] / grid[0] - 1 : 0.0};
    file.set<double>("grid", ends);
    file.set<double>("tolerance", tolerance);
  }
  write_samples(file, request.data.index, request.data.labels, {request.stored.format->name},
                {&certificates.logits});
  Writer(file, request, certificates).write();
}

}  // namespace temblor
