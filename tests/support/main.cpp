#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>

#include <temblor/base/arithmetic.hpp>

int main(int argc, char* argv[]) {
  temblor::fix_arithmetic();
  return Catch::Session().run(argc, argv);
}
