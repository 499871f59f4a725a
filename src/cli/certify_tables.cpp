#include <algorithm>
#include <cmath>

#include <temblor/base/text.hpp>
#include <temblor/campaign/result_file.hpp>
#include <temblor/cli/certify_tables.hpp>
#include <temblor/stats/sample.hpp>

namespace temblor::cli {
namespace {

constexpr std::size_t median = 2, high = 4;  // of check_quantiles

Cell share(std::int64_t count, Index images) {
  return static_cast<double>(count) / static_cast<double>(images);
}

Cell level(const std::vector<double>& levels, std::size_t i) {
  return levels.empty() ? Cell{} : Cell{levels[i]};
}

Table accuracy_table(const CertifyRequest& request, const Certificates& certificates) {
  const auto rows = summarise(request, certificates);
  const bool attack = !certificates.attacks.empty();
  const bool exact =
      std::any_of(rows.begin(), rows.end(), [](const auto& row) { return !row.to_exact.empty(); });
  Table table{{{"layers"}, {"severity"}, {"bound"}, {"certified"}}, {}};
  if (request.arithmetic) table.columns.push_back({"float32"});
  table.columns.push_back({"mean drop"});
  table.columns.push_back({"median drop"});
  if (attack) {
    for (const char* name : {"attacked", "mean attack", "tightness", "95 %"}) table.columns.push_back({name});
    table.columns.push_back({"violated"});
  }
  if (exact) table.columns.push_back({"exact/bound"});
  for (const auto& row : rows) {
    std::vector<Cell> cells{layers_text(request.layers[row.layers], request.stored.network),
                            request.severities[row.severity], request.bounds[row.bound].entry->name,
                            share(row.certified, request.data.size())};
    if (request.arithmetic) cells.push_back(share(row.certified_float32, request.data.size()));
    cells.insert(cells.end(), {row.mean_drop, row.median_drop});
    if (attack) {
      cells.insert(cells.end(), {share(row.standing, request.data.size()), row.mean_attack,
                                 level(row.tightness, median), level(row.tightness, high), row.violated});
    }
    if (exact) cells.push_back(level(row.to_exact, median));
    table.add(std::move(cells));
  }
  return table;
}

void add_radii(Table& table, const std::string& layers, const std::string& what,
               const std::vector<double>& radius) {
  if (radius.empty()) return;
  std::vector<Cell> cells{layers, what};
  for (const double value : quantiles(radius, check_quantiles)) cells.emplace_back(value);
  Moments moments;
  for (const double value : radius) moments.add(value);
  cells.emplace_back(moments.mean());
  cells.emplace_back(static_cast<std::int64_t>(std::count(radius.begin(), radius.end(), 0.0)));
  table.add(std::move(cells));
}

Table radius_table(const CertifyRequest& request, const Certificates& certificates) {
  Table table{{{"layers"}, {"by"}}, {}};
  for (const double at : check_quantiles) table.columns.push_back({to_text(100 * at) + " %"});
  table.columns.push_back({"mean"});
  table.columns.push_back({"none"});
  for (std::size_t c = 0; c < request.layers.size(); ++c) {
    const auto layers = layers_text(request.layers[c], request.stored.network);
    for (std::size_t b = 0; b < request.bounds.size(); ++b)
      add_radii(table, layers, request.bounds[b].entry->name, certificates.bounds[c][b].radius);
    if (!certificates.attacks.empty()) add_radii(table, layers, "attack", certificates.attacks[c].radius);
  }
  return table;
}

/// The applying bound that proves most labels at one severity, of these the one with the least mean drop;
/// null when none applies.
const CertifySummary* tightest(const std::vector<CertifySummary>& rows, std::size_t layers,
                               std::size_t severity) {
  const CertifySummary* best = nullptr;
  const auto better = [](const CertifySummary& a, const CertifySummary& b) {
    if (a.certified_float32 != b.certified_float32) return a.certified_float32 > b.certified_float32;
    if (a.certified != b.certified) return a.certified > b.certified;
    return a.mean_drop < b.mean_drop;
  };
  for (const auto& row : rows) {
    if (row.layers != layers || row.severity != severity) continue;
    if (best == nullptr || better(row, *best)) best = &row;
  }
  return best;
}

/// One row a layer: what it does alone, by the tightest bound and by the attack.
Table layer_table(const CertifyRequest& request, const Certificates& certificates) {
  const auto rows = summarise(request, certificates);
  const auto& network = request.stored.network;
  Table table{{{"layer"}, {"name"}, {"weights"}, {"severity"}, {"bound"}, {"mean drop"}, {"certified"}}, {}};
  const bool attack = !certificates.attacks.empty();
  if (request.grid) table.columns.push_back({"median radius"});
  if (attack) table.columns.push_back({"mean attack"});
  for (std::size_t c = 1; c < request.layers.size(); ++c) {
    const int layer = request.layers[c].front();
    for (std::size_t s = 0; s < request.severities.size(); ++s) {
      const auto* row = tightest(rows, c, s);
      if (row == nullptr) continue;
      std::vector<Cell> cells{
          std::int64_t{layer},
          network.layer_name(layer),
          static_cast<std::int64_t>(network.weights(layer).weight.size()),
          request.severities[s],
          request.bounds[row->bound].entry->name,
          row->mean_drop,
          share(request.arithmetic ? row->certified_float32 : row->certified, request.data.size())};
      if (request.grid) cells.emplace_back(quantile(certificates.bounds[c][row->bound].radius, 0.5));
      if (attack) cells.emplace_back(row->mean_attack);
      table.add(std::move(cells));
    }
  }
  return table;
}

}  // namespace

std::vector<TitledTable> certify_tables(const CertifyRequest& request, const Certificates& certificates) {
  std::vector<TitledTable> tables;
  tables.push_back(
      {"accuracy",
       "Certified accuracy, and what the bounds allow on " + std::to_string(request.data.size()) + " images",
       accuracy_table(request, certificates)});
  if (request.grid)
    tables.push_back({"radii",
                      std::string("Certified radius, quantiles over the images") +
                          (request.arithmetic ? " (for float32 evaluation)" : " (exact arithmetic)"),
                      radius_table(request, certificates)});
  if (request.layers.size() > 1)
    tables.push_back(
        {"layers", "Each layer alone, by the tightest bound", layer_table(request, certificates)});
  return tables;
}

}  // namespace temblor::cli
