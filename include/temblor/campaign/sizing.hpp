#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <temblor/campaign/rates.hpp>
#include <temblor/campaign/spec.hpp>
#include <temblor/formats/format.hpp>
#include <temblor/network/network.hpp>
#include <temblor/perturb/threat.hpp>

namespace temblor {

/// What a sampled campaign of single-bit faults is to find out.
struct SizeRequest {
  LayerSet layers;        ///< weighted layers with faults
  const Format* format;   ///< of the stored weights
  std::vector<int> bits;  ///< of the code, ascending
  bool by_layer = false;  ///< strata: each layer on its own
  bool by_field = false;  ///< each field of the code on its own
  bool by_bit = false;    ///< each bit on its own
  double error = 0.01;    ///< half width of the estimate
  double confidence = 0.95;
  double rate = 0.5;                   ///< expected share, where no pilot tells
  const Rate* of = nullptr;            ///< what is estimated
  std::optional<std::string> pilot{};  ///< result or census file with counts of the strata
  bool neyman = false;
};

/// A part of the population, all of whose faults are equally likely.
struct SizedStratum {
  LayerSet layers;
  std::vector<int> bits;
  std::int64_t population = 0;    ///< weights x bits
  std::int64_t pilot_trials = 0;  ///< 0: the pilot has none
  double rate = 0;                ///< expected
  double deviation = 0;           ///< of one trial's share, expected
  std::int64_t trials = 0;
};

struct Sizing {
  std::vector<SizedStratum> strata;
  std::int64_t population = 0;
  std::int64_t needed = 0;  ///< by the formula, drawn without replacement
  std::int64_t trials = 0;  ///< of all strata: rounded up, and with a pilot raised until `reached` is enough
  double reached = 0;       ///< half width that the stratified estimate of so many draws is expected to have
};

/// Without strata and pilot n = N / (1 + e^2 (N-1) / (t^2 p (1-p))) of Leveugle et al., DATE 2009. A pilot
/// gives each stratum's rate and deviation: a census exactly, a sampled campaign from the smallest of its
/// points that holds the stratum, with one trial of share 0 and one of share 1 added, so that no stratum
/// without a hit is taken for a harmless one. Strata without a pilot have the request's rate. Bad-input error
/// when the pilot is of another network or format, or a census without the faults asked for.
Sizing size_campaign(const Network& network, const SizeRequest& request);

/// The attacks that draw these trials, one a stratum.
std::vector<AttackSpec> sized_attacks(const Network& network, const SizeRequest& request,
                                      const Sizing& sizing);
/// "0+7", or "all" when it is every bit of the format.
std::string bits_text(const std::vector<int>& bits, const Format& format);

}  // namespace temblor
