#include <catch2/catch.hpp>
#include <support/crash.hpp>

using namespace temblor::testing;

TEST_CASE("killed at 300 random instants, a campaign ends in the same bytes") {
  CrashCampaign().kill_at_random(300, 2);
}
