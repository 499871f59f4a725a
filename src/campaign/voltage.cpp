#include <algorithm>
#include <cmath>
#include <numeric>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/voltage.hpp>

namespace temblor {

double VoltageTable::rate(double voltage, const std::string& what) const {
  if (!(voltage >= volts.front() && voltage <= volts.back())) {
    usage_error(what + " " + to_text(voltage), "no rate is known there",
                "give voltages from " + to_text(volts.front()) + " to " + to_text(volts.back()) +
                    ", the range of the voltage table, or extend the table");
  }
  const auto above = std::lower_bound(volts.begin(), volts.end(), voltage);
  const auto i = static_cast<std::size_t>(above - volts.begin());
  if (*above == voltage) return rates[i];
  const double part = (voltage - volts[i - 1]) / (volts[i] - volts[i - 1]);
  const double low = std::min(rates[i - 1], rates[i]), high = std::max(rates[i - 1], rates[i]);
  return std::clamp(std::exp(std::lerp(std::log(rates[i - 1]), std::log(rates[i]), part)), low, high);
}

Quantity volts_quantity() {
  return {"volts", "supply voltage, which gives the rate of faults by the table of voltages", "V", 0, 1e6,
          false};
}

VoltageTable voltage_table(std::vector<double> volts, std::vector<double> rates, const std::string& what) {
  if (volts.size() != rates.size() || volts.empty()) {
    usage_error(
        what + ": " + std::to_string(volts.size()) + " volts and " + std::to_string(rates.size()) + " rates",
        "every voltage has one rate", "give two lists of the same length");
  }
  for (const double rate : rates) {
    if (!(rate > 0 && rate <= 1)) {
      usage_error(what + ": rate " + to_text(rate), "between voltages its logarithm is interpolated",
                  "give probabilities above 0 and at most 1");
    }
  }
  std::vector<std::size_t> order(volts.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return volts[a] < volts[b]; });
  VoltageTable table;
  for (const std::size_t i : order) {
    if (!table.volts.empty() && table.volts.back() == volts[i]) {
      usage_error(what + ": " + to_text(volts[i]) + " volts twice", "", "leave one out");
    }
    table.volts.push_back(volts[i]);
    table.rates.push_back(rates[i]);
  }
  return table;
}

}  // namespace temblor
