#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <temblor/base/params.hpp>

namespace temblor {

/// How consecutive units of the address order go over the banks.
enum class Interleave {
  none,  ///< a bank is filled before the next one
  word,  ///< word w is in bank w mod banks
  row    ///< row r is in bank r mod banks
};

/// A memory that holds the codes: the `[memory]` table of a spec.
struct MemorySpec {
  int word = 64;                             ///< data bits of a word
  std::int64_t row = 1024;                   ///< words of a row
  std::int64_t banks = 1;                    ///< banks, all of the same number of rows
  Interleave interleave = Interleave::none;  ///< of words or rows over banks
  std::int64_t bit_interleave = 1;           ///< words of a row whose bits alternate; divides `row`
  bool column_major = false;                 ///< weights of a layer: input by input instead of row by row
  bool reverse_layers = false;               ///< the last layer first

  bool operator==(const MemorySpec&) const = default;
};

/// The keys of `[memory]`, as every table of parameters.
const std::vector<ParamSpec>& memory_params();
/// Values as given, checked, with defaults for the others. Usage errors begin with `owner`.
Params checked_memory(const std::string& owner, const std::map<std::string, std::string>& given);
/// The same as a specification.
MemorySpec memory_spec(const std::string& owner, const std::map<std::string, std::string>& given);

}  // namespace temblor
