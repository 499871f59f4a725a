#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <temblor/campaign/certify.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

std::vector<double> row_of(const MatrixD& matrix, Index row) {
  return {matrix.row(row).begin(), matrix.row(row).end()};
}

double mean(const std::vector<double>& values) {
  Moments moments;
  for (const double value : values) moments.add(value);
  return moments.mean();
}

/// drop / limit, image by image; 0 where nothing dropped or nothing is promised.
std::vector<double> ratios(const std::vector<double>& drops, const std::vector<double>& limits) {
  std::vector<double> ratio;
  for (std::size_t n = 0; n < drops.size(); ++n) {
    if (std::isnan(drops[n])) {
      ratio.push_back(infinity);
    } else if (drops[n] <= 0 || limits[n] == infinity) {
      ratio.push_back(0);
    } else {
      ratio.push_back(limits[n] > 0 ? drops[n] / limits[n] : infinity);
    }
  }
  return ratio;
}

}  // namespace

AttackSummary attack_summary(const VectorD& drop, const std::vector<double>& margin) {
  AttackSummary fold{mean({drop.begin(), drop.end()}), 0};
  for (std::size_t n = 0; n < margin.size(); ++n)
    if (margin[n] - drop(static_cast<Index>(n)) > 0) ++fold.standing;
  return fold;
}

std::vector<CertifySummary> summarise(const CertifyRequest& request, const Certificates& certificates) {
  std::vector<CertifySummary> rows;
  const auto exact = std::find_if(request.bounds.begin(), request.bounds.end(),
                                  [](const auto& bound) { return bound.entry->name == "exact"; });
  for (std::size_t c = 0; c < request.layers.size(); ++c) {
    for (std::size_t s = 0; s < request.severities.size(); ++s) {
      const auto severity = static_cast<Index>(s);
      for (std::size_t b = 0; b < request.bounds.size(); ++b) {
        const auto& certificate = certificates.bounds[c][b];
        if (!certificate.refused.empty()) continue;
        CertifySummary row{.layers = c, .bound = b, .severity = s};
        row.certified = certificate.proven.row(severity).count();
        if (request.arithmetic) row.certified_float32 = certificate.proven_float32.row(severity).count();
        const auto drop = row_of(certificate.drop, severity);
        row.mean_drop = mean(drop);
        row.median_drop = quantile(drop, 0.5);
        row.mean_attack = std::numeric_limits<double>::quiet_NaN();
        if (!certificates.attacks.empty()) {
          const auto attack = row_of(certificates.attacks[c].drop, severity);
          const auto limit = request.arithmetic ? row_of(certificate.drop_float32, severity) : drop;
          const auto fold = attack_summary(certificates.attacks[c].drop.row(severity), certificates.margin);
          row.mean_attack = fold.mean_drop;
          row.standing = fold.standing;
          row.tightness = quantiles(ratios(attack, limit), check_quantiles);
          for (std::size_t n = 0; n < attack.size(); ++n) {
            // Without the float32 part a drop measured in float32 may exceed the limit by its rounding.
            if (request.arithmetic && !(attack[n] <= limit[n])) ++row.violated;
          }
        }
        if (exact != request.bounds.end()) {
          const auto& truth =
              certificates.bounds[c][static_cast<std::size_t>(exact - request.bounds.begin())];
          if (truth.refused.empty())
            row.to_exact = quantiles(ratios(row_of(truth.drop, severity), drop), check_quantiles);
        }
        rows.push_back(std::move(row));
      }
    }
  }
  return rows;
}

std::int64_t broken_radii(const Certificate& certificate, const Attacked& attacked) {
  std::int64_t broken = 0;
  for (std::size_t n = 0; n < std::min(certificate.radius.size(), attacked.radius.size()); ++n)
    if (certificate.radius[n] > 0 && certificate.radius[n] >= attacked.radius[n]) ++broken;
  return broken;
}

}  // namespace temblor
