// The main of benchmarks that have none of their own.

#include <benchmark/benchmark.h>

#include <temblor/base/arithmetic.hpp>
#include <temblor/base/memory.hpp>

int main(int count, char** words) {
  temblor::fix_arithmetic();
  temblor::keep_memory();
  benchmark::Initialize(&count, words);
  if (benchmark::ReportUnrecognizedArguments(count, words)) return 2;
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
