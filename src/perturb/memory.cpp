#include <temblor/base/error.hpp>
#include <temblor/perturb/memory.hpp>

namespace temblor {

const std::vector<ParamSpec>& memory_params() {
  static const std::vector<ParamSpec> params = {
      {.name = "word",
       .type = ParamType::integer,
       .initial = "64",
       .help = "data bits of a word",
       .unit = "bits",
       .least = 1,
       .most = 4096},
      {.name = "row",
       .type = ParamType::integer,
       .initial = "1024",
       .help = "words of a row",
       .unit = "words",
       .least = 1,
       .most = 0x1p24},
      {.name = "banks",
       .type = ParamType::integer,
       .initial = "1",
       .help = "banks, all of the same number of rows: as many as are needed",
       .least = 1,
       .most = 65536},
      {.name = "interleave",
       .type = ParamType::choice,
       .initial = "none",
       .help = "what goes to the banks in turn: words, rows, or nothing (one bank is filled before the next)",
       .choices = {"none", "word", "row"}},
      {.name = "bit-interleave",
       .type = ParamType::integer,
       .initial = "1",
       .help = "words whose bits alternate in a row (column multiplexing); divides row",
       .unit = "words",
       .least = 1,
       .most = 0x1p24},
      {.name = "weights",
       .type = ParamType::choice,
       .initial = "row-major",
       .help = "order of a layer's weights: output by output, or input by input",
       .choices = {"row-major", "column-major"}},
      {.name = "layers",
       .type = ParamType::choice,
       .initial = "forward",
       .help = "order of the layers: as the network computes, or the last one first",
       .choices = {"forward", "reverse"}},
  };
  return params;
}

Params checked_memory(const std::string& owner, const std::map<std::string, std::string>& given) {
  Params params(owner, memory_params(), given);
  const auto row = params.integer("row"), group = params.integer("bit-interleave");
  if (row % group != 0) {
    usage_error(owner + ", bit-interleave " + std::to_string(group),
                "a row of " + std::to_string(row) + " words is no whole number of such groups",
                "give a divisor of row");
  }
  return params;
}

MemorySpec memory_spec(const std::string& owner, const std::map<std::string, std::string>& given) {
  const auto params = checked_memory(owner, given);
  const auto& interleave = params.text("interleave");
  return {.word = static_cast<int>(params.integer("word")),
          .row = params.integer("row"),
          .banks = params.integer("banks"),
          .interleave = interleave == "word"  ? Interleave::word
                        : interleave == "row" ? Interleave::row
                                              : Interleave::none,
          .bit_interleave = params.integer("bit-interleave"),
          .column_major = params.text("weights") == "column-major",
          .reverse_layers = params.text("layers") == "reverse"};
}

}  // namespace temblor
