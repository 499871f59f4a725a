#include <algorithm>
#include <csignal>
#include <filesystem>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/crash.hpp>
#include <support/program.hpp>

#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

/// Waits until the campaign has saved something; false when it was over before.
bool wait_for_work(const std::string& output) {
  for (int i = 0; i < 2000; ++i) {
    if (std::filesystem::exists(output)) return false;
    if (std::filesystem::exists(output + ".partial")) {
      sleep_seconds(0.02);
      return !std::filesystem::exists(output);
    }
    sleep_seconds(0.001);
  }
  return false;
}

/// The campaign with ten times the trials, so that it is still there when it is spoken to.
std::vector<std::string> long_run(const CrashCampaign& campaign, const std::string& output) {
  auto words = campaign.words(output);
  words.insert(words.end(), {"--trials", "400"});
  return words;
}

}  // namespace

TEST_CASE("killed at 30 random instants, a campaign ends in the same bytes") {
  CrashCampaign().kill_at_random(30, 1);
}

TEST_CASE("killed while its points stop early, a campaign ends in the same bytes") {
  const CrashCampaign campaign({"--until", "ci(sdc) < 12%", "--trials", "120"});
  const ResultFile whole(campaign.file("whole.h5"));
  const auto& points = whole.points();
  REQUIRE(std::any_of(points.begin(), points.end(),
                      [](const PointRow& point) { return point.trials < point.trials_most; }));
  campaign.kill_at_random(15, 2);
}

TEST_CASE("one signal saves, names the command that goes on, and ends with 130") {
  const CrashCampaign campaign;
  const auto output = campaign.file("out.h5");
  auto command = campaign.words(output);
  command.insert(command.end(), {"--set", "steps=400"});
  Process whole(command, campaign.directory());
  REQUIRE(whole.wait() == 0);
  const auto expected = digest(output);
  for (const int number : {SIGINT, SIGTERM}) {
    std::filesystem::remove(output);
    Process process(command, campaign.directory());
    REQUIRE(wait_for_work(output));
    process.signal(number);
    CHECK(process.wait() == 130);
    const auto err = process.err();
    CHECK(err.find("stopped: ") != std::string::npos);
    std::string line = "temblor";
    for (const auto& word : command) line += " " + word;
    CHECK(err.find("go on with\n  " + line + "\n") != std::string::npos);
    CHECK(std::filesystem::exists(output + ".partial"));
    CHECK_FALSE(std::filesystem::exists(output));
    Process again(command, campaign.directory());
    CHECK(again.wait() == 0);
    CHECK(again.err().find("resuming") == 0);
    CHECK(digest(output) == expected);
  }
}

TEST_CASE("two signals leave at once, and nothing saved is lost") {
  const CrashCampaign campaign;
  const auto output = campaign.file("out.h5");
  Process process(long_run(campaign, output), campaign.directory());
  REQUIRE(wait_for_work(output));
  process.signal(SIGINT);
  process.signal(SIGTERM);
  CHECK(process.wait() == 130);
  CHECK_FALSE(std::filesystem::exists(output));
  Process again(long_run(campaign, output), campaign.directory());
  CHECK(again.wait() == 0);
}

TEST_CASE("a second process on the same output is refused") {
  const CrashCampaign campaign;
  const auto output = campaign.file("out.h5");
  Process process(long_run(campaign, output), campaign.directory());
  REQUIRE(wait_for_work(output));
  const auto second = run_program(long_run(campaign, output));
  CHECK(second.code == 2);
  CHECK(second.err.find("another process") != std::string::npos);
  process.signal(SIGKILL);
  process.wait();
  // The lock went with its holder; a changed spec is refused, the same one goes on.
  const auto changed = run_program(campaign.words(output));
  CHECK(changed.code == 2);
  CHECK(changed.err.find("belongs to another campaign") != std::string::npos);
  CHECK(run_program(long_run(campaign, output)).code == 0);
}

TEST_CASE("a full disk is a clear error and loses nothing") {
  const CrashCampaign campaign;
  const auto output = campaign.file("out.h5");
  {
    Process process(campaign.words(output), campaign.directory(), 20000);  // the running file does not fit
    CHECK(process.wait() == 3);
    CHECK(process.err().find("out.h5") != std::string::npos);
    CHECK_FALSE(std::filesystem::exists(output + ".partial"));
    CHECK_FALSE(std::filesystem::exists(output + ".partial.new"));
  }
  // One trial a point and four bounds: the result is larger than the running file.
  const std::vector<std::string> command{"run",      campaign.file("spec.toml"),
                                         "-o",       output,
                                         "--trials", "1",
                                         "--bound",  "interval,norm-product,norm-vector,linear"};
  Process whole(command, campaign.directory());
  REQUIRE(whole.wait() == 0);
  const auto expected = digest(output);
  const auto size = static_cast<long>(std::filesystem::file_size(output));
  std::filesystem::remove(output);
  Process process(command, campaign.directory(), size - 4096);
  CHECK(process.wait() == 3);
  CHECK(process.err().find("out.h5") != std::string::npos);
  CHECK(std::filesystem::exists(output + ".partial"));
  CHECK_FALSE(std::filesystem::exists(output));
  CHECK_FALSE(std::filesystem::exists(output + ".new"));
  Process again(command, campaign.directory());
  CHECK(again.wait() == 0);
  CHECK(digest(output) == expected);
}
