#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/bounds/interval.hpp>
#include <temblor/campaign/certify.hpp>
#include <temblor/evaluate/evaluator.hpp>

namespace temblor {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

/// Everything of a dataset but its images.
Dataset frame_of(const Dataset& data) {
  Dataset frame = data;
  frame.images.resize(0, 0);
  frame.labels.clear();
  frame.index.clear();
  frame.id.clear();
  return frame;
}

MatrixD float_margins(const Matrix& logits, const std::vector<std::int32_t>& labels) {
  MatrixD pairs = logits.cast<double>();
  for (Index n = 0; n < pairs.rows(); ++n)
    pairs.row(n) = pairs(n, labels[static_cast<std::size_t>(n)]) - pairs.row(n).array();
  return pairs;
}

/// Largest value / pair margin of one image: below 1 exactly where (up to rounding) its label is proven.
double load_of(const MatrixD& pairs, Index pair_row, const MatrixD& value, Index row, std::int32_t label) {
  double load = 0;
  for (Index j = 0; j < pairs.cols(); ++j) {
    if (j == label) continue;
    load = std::max(load, pairs(pair_row, j) > 0 ? value(row, j) / pairs(pair_row, j) : infinity);
  }
  return load;
}

class Work {
 public:
  explicit Work(const CertifyRequest& request)
      : request_(request),
        network_(request.stored.network),
        frame_(frame_of(request.data)),
        evaluator_(network_, request.data) {
    pairs_ = exact_margins(network_, request.data);
    if (request.arithmetic) float_pairs_ = float_margins(evaluator_.golden().logits(), request.data.labels);
  }

  Certificates run() {
    Certificates result;
    result.margin = evaluator_.golden().margin;
    result.logits = evaluator_.golden().logits();
    for (std::size_t c = 0; c < request_.layers.size(); ++c) {
      result.bounds.emplace_back();
      for (const auto& bound : request_.bounds) result.bounds.back().push_back(certificate(bound, c));
      if (!request_.attacks.empty()) result.attacks.push_back(attacked(c));
    }
    return result;
  }

 private:
  Dataset rows_of(const std::vector<Index>& rows) const {
    Dataset part = frame_;
    part.images = request_.data.images(rows, Eigen::all);
    for (const Index n : rows) {
      part.labels.push_back(request_.data.labels[static_cast<std::size_t>(n)]);
      part.index.push_back(request_.data.index[static_cast<std::size_t>(n)]);
    }
    return part;
  }
  void step(const std::string& what, std::size_t c, const std::string& where) const {
    if (request_.step)
      request_.step(what + ", layers " + layers_text(request_.layers[c], network_) + ", " + where);
  }
  std::string severity_text(double severity) const {
    return request_.family.quantity.name + " " + to_text(severity);
  }
  const MatrixD& deciding_pairs() const { return request_.arithmetic ? float_pairs_ : pairs_; }

  Certificate certificate(const CertifyBound& bound, std::size_t c) const {
    const auto& entry = *bound.entry;
    Certificate result;
    const auto& labels = request_.data.labels;
    const auto severities = static_cast<Index>(request_.severities.size());
    const Index images = request_.data.size();
    std::vector<MatrixD> deciding;
    for (Index s = 0; s < severities; ++s) {
      const double severity = request_.severities[static_cast<std::size_t>(s)];
      const auto set = request_.family.at(severity, request_.layers[c]);
      if (auto why = entry.refuses(network_, set); !why.empty()) return {.refused = std::move(why)};
      step("bound " + entry.name, c, severity_text(severity));
      auto values = entry.compute({network_, request_.data, set, request_.arithmetic, bound.params});
      if (s == 0) {
        result.drop.resize(severities, images);
        result.proven.resize(severities, images);
        if (request_.arithmetic) {
          result.drop_float32.resize(severities, images);
          result.proven_float32.resize(severities, images);
        }
      }
      result.drop.row(s) = margin_drop_bound(pairs_, values.value, labels).transpose();
      const auto proven = proven_labels(pairs_, values.value, labels);
      for (Index n = 0; n < images; ++n) result.proven(s, n) = proven[static_cast<std::size_t>(n)];
      if (request_.arithmetic) {
        values.value += values.arithmetic;
        result.drop_float32.row(s) = margin_drop_bound(float_pairs_, values.value, labels).transpose();
        const auto proven_float32 = proven_labels(float_pairs_, values.value, labels);
        for (Index n = 0; n < images; ++n)
          result.proven_float32(s, n) = proven_float32[static_cast<std::size_t>(n)];
      }
      deciding.push_back(std::move(values.value));
    }
    if (request_.grid) result.radius = radii(bound, c, result, deciding);
    return result;
  }

  std::vector<double> radii(const CertifyBound& bound, std::size_t c, const Certificate& known,
                            const std::vector<MatrixD>& deciding) const {
    const auto& entry = *bound.entry;
    const auto& grid = *request_.grid;
    const auto& labels = request_.data.labels;
    const auto& pairs = deciding_pairs();
    const auto& proven = request_.arithmetic ? known.proven_float32 : known.proven;
    const auto images = static_cast<std::size_t>(request_.data.size());
    std::vector<Bracket> brackets(images, open_bracket(grid));
    std::vector<double> radius(images, 0.0);
    for (std::size_t n = 0; n < images; ++n) {
      const auto row = static_cast<Index>(n);
      auto& bracket = brackets[n];
      double least = infinity;
      for (Index j = 0; j < pairs.cols(); ++j)
        if (j != labels[n]) least = std::min(least, pairs(row, j));
      if (!(least > 0)) bracket.fails = 0;
      for (std::size_t s = 0; s < request_.severities.size(); ++s) {
        const double severity = request_.severities[s];
        const double load = load_of(pairs, row, deciding[s], row, labels[n]);
        if (proven(static_cast<Index>(s), row)) {
          radius[n] = std::max(radius[n], severity);
          if (const Index k = grid.last_up_to(severity); k > bracket.holds) {
            bracket.holds = k;
            bracket.holds_load = load;
          }
        }
      }
      for (std::size_t s = 0; s < request_.severities.size(); ++s) {
        const Index k = grid.first_from(request_.severities[s]);
        if (proven(static_cast<Index>(s), row) || k <= bracket.holds || k >= bracket.fails) continue;
        bracket.fails = k;
        bracket.fails_load = load_of(pairs, row, deciding[s], row, labels[n]);
      }
    }
    narrow(grid, brackets, [&](double severity, const std::vector<Index>& rows) {
      step("radius by " + entry.name, c, severity_text(severity));
      const Dataset part = rows_of(rows);
      const auto set = request_.family.at(severity, request_.layers[c]);
      auto values = entry.compute({network_, part, set, request_.arithmetic, bound.params});
      if (request_.arithmetic) values.value += values.arithmetic;
      const MatrixD own = pairs(rows, Eigen::all);
      const auto holds = proven_labels(own, values.value, part.labels);
      std::vector<Answer> answers;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const auto row = static_cast<Index>(i);
        answers.push_back({holds[i], load_of(own, row, values.value, row, part.labels[i])});
      }
      return answers;
    });
    for (std::size_t n = 0; n < images; ++n) {
      if (brackets[n].holds >= 0) radius[n] = std::max(radius[n], grid[brackets[n].holds]);
    }
    return radius;
  }

  /// Margin drops of the strongest of the attacks.
  std::vector<double> strongest(const Dataset& data, const Evaluator& evaluator, std::size_t c,
                                double severity, const StreamId& id) const {
    const auto set = request_.family.at(severity, request_.layers[c]);
    std::vector<double> drop(static_cast<std::size_t>(data.size()), -infinity);
    Evaluator::Scratch scratch(evaluator);
    TrialSamples samples;
    for (std::size_t a = 0; a < request_.attacks.size(); ++a) {
      const auto& [entry, params] = request_.attacks[a];
      const auto attack = make_attack(*entry, {network_, data, *request_.stored.format, request_.layers[c],
                                               severity, params, &request_.stored});
      if (attack->threat().key != set.key) {
        usage_error("attack '" + entry->name + "'",
                    "it searches " + attack->threat().key + ", the bounds are for " + set.key,
                    "leave the attack out, or choose its parameters with --set");
      }
      const Stream stream(request_.seed, {id.point, id.trial, id.stream + static_cast<std::uint32_t>(a)});
      evaluator.evaluate(attack->perturb(stream), scratch, samples);
      for (std::size_t n = 0; n < drop.size(); ++n) drop[n] = std::max(drop[n], samples.drop[n]);
    }
    return drop;
  }

  Attacked attacked(std::size_t c) const {
    Attacked result;
    const auto severities = static_cast<Index>(request_.severities.size());
    const auto& margin = evaluator_.golden().margin;
    result.drop.resize(severities, request_.data.size());
    for (Index s = 0; s < severities; ++s) {
      const double severity = request_.severities[static_cast<std::size_t>(s)];
      step("attack", c, severity_text(severity));
      const auto drop = strongest(request_.data, evaluator_, c, severity,
                                  {static_cast<std::uint32_t>(c), static_cast<std::uint32_t>(s), 0});
      result.drop.row(s) = Eigen::Map<const VectorD>(drop.data(), request_.data.size()).transpose();
    }
    if (!request_.grid || !request_.attack_radius) return result;

    const auto& grid = *request_.grid;
    const auto load = [](double drop, double before) { return before > 0 ? drop / before : infinity; };
    // The property is "the label stands".
    std::vector<Bracket> brackets(margin.size(), open_bracket(grid));
    std::vector<double> broken(margin.size(), infinity);
    for (std::size_t n = 0; n < margin.size(); ++n) {
      auto& bracket = brackets[n];
      if (!(margin[n] > 0)) {
        bracket.fails = 0;
        broken[n] = 0;
        continue;
      }
      const auto row = static_cast<Index>(n);
      for (Index s = severities - 1; s >= 0; --s) {
        const double severity = request_.severities[static_cast<std::size_t>(s)];
        if (!(margin[n] - result.drop(s, row) < 0)) continue;
        broken[n] = std::min(broken[n], severity);
        if (const Index k = grid.first_from(severity); k < bracket.fails) {
          bracket.fails = k;
          bracket.fails_load = load(result.drop(s, row), margin[n]);
        }
      }
      for (Index s = 0; s < severities; ++s) {
        const Index k = grid.last_up_to(request_.severities[static_cast<std::size_t>(s)]);
        if (margin[n] - result.drop(s, row) < 0 || k >= bracket.fails || k <= bracket.holds) continue;
        bracket.holds = k;
        bracket.holds_load = load(result.drop(s, row), margin[n]);
      }
    }
    narrow(grid, brackets, [&](double severity, const std::vector<Index>& rows) {
      step("radius by attack", c, severity_text(severity));
      const Dataset part = rows_of(rows);
      const Evaluator evaluator(network_, part);
      // Rows of `part` stand for other images at another severity: streams of their own.
      const auto k = static_cast<std::uint32_t>(grid.first_from(severity));
      const auto drop = strongest(part, evaluator, c, severity, {static_cast<std::uint32_t>(c), k, 1000});
      std::vector<Answer> answers;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        const double before = evaluator.golden().margin[i];
        answers.push_back({!(before - drop[i] < 0), load(drop[i], before)});
      }
      return answers;
    });
    for (std::size_t n = 0; n < margin.size(); ++n) {
      if (brackets[n].fails < grid.size()) broken[n] = std::min(broken[n], grid[brackets[n].fails]);
      if (!(margin[n] > 0)) broken[n] = 0;
    }
    result.radius = std::move(broken);
    return result;
  }

  const CertifyRequest& request_;
  const Network& network_;
  Dataset frame_;  ///< the dataset without its images
  Evaluator evaluator_;
  MatrixD pairs_;        ///< lower limits of the pair margins, exact arithmetic
  MatrixD float_pairs_;  ///< pair margins as float32 evaluation gives them
};

}  // namespace

std::vector<bool> proven_labels(const MatrixD& pair_margins, const MatrixD& value,
                                const std::vector<std::int32_t>& labels) {
  std::vector<bool> proven(labels.size());
  for (Index n = 0; n < pair_margins.rows(); ++n) {
    const auto label = labels[static_cast<std::size_t>(n)];
    bool all = true;
    for (Index j = 0; j < pair_margins.cols(); ++j)
      all = all && (j == label || pair_margins(n, j) > value(n, j));
    proven[static_cast<std::size_t>(n)] = all;
  }
  return proven;
}

Certificates certify(const CertifyRequest& request) {
  ensure(!request.layers.empty() && !request.severities.empty() && request.data.size() > 0,
         "a certificate is about some layers, severities and images");
  ensure(std::is_sorted(request.severities.begin(), request.severities.end()), "severities ascend");
  return Work(request).run();
}

}  // namespace temblor
