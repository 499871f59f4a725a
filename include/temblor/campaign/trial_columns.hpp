#pragma once

#include <array>

#include <temblor/campaign/result_file.hpp>

namespace temblor {

/// A column of /trials and the member it is.
template <class T>
struct TrialColumn {
  const char* name;
  T TrialRow::*member;
  std::int32_t since = 0;  ///< minor version of the first files that have it; before, it is 0
};

inline constexpr std::array<TrialColumn<std::int64_t>, 16> trial_whole_columns{{
    {"trial", &TrialRow::trial},
    {"changed_weights", &TrialRow::changed_weights},
    {"flipped_bits", &TrialRow::flipped_bits},
    {"correct", &TrialRow::correct},
    {"argmax_correct", &TrialRow::argmax_correct},
    {"changed", &TrialRow::changed},
    {"changed_top5", &TrialRow::changed_top5},
    {"broken", &TrialRow::broken},
    {"fixed", &TrialRow::fixed},
    {"no_prediction", &TrialRow::no_prediction},
    {"worst_sample", &TrialRow::worst_sample},
    {"corrected_words", &TrialRow::corrected_words, 2},
    {"detected_words", &TrialRow::detected_words, 2},
    {"miscorrected_words", &TrialRow::miscorrected_words, 2},
    {"undetected_words", &TrialRow::undetected_words, 2},
    {"check_faults", &TrialRow::check_faults, 2},
}};

inline constexpr std::array<TrialColumn<double>, 5> trial_real_columns{{
    {"linf", &TrialRow::linf},
    {"l2", &TrialRow::l2},
    {"relative", &TrialRow::relative},
    {"drop_sum", &TrialRow::drop_sum},
    {"drop_max", &TrialRow::drop_max},
}};

}  // namespace temblor
