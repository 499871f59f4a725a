#include <algorithm>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/crash.hpp>

#include <temblor/hdf5/file.hpp>
#include <temblor/random/stream.hpp>

namespace temblor::testing {
namespace {

std::int64_t saved_blocks(const std::string& partial) {
  const auto file = hdf5::File::open(partial, hdf5::File::Mode::read);
  const auto status = file.read<std::uint8_t>("/blocks/status");
  return std::count(status.begin(), status.end(), std::uint8_t{1});
}

}  // namespace

void sleep_seconds(double seconds) {
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

CrashCampaign::CrashCampaign(std::vector<std::string> options)
    : options_(std::move(options)), network_(make_network(directory_.path())) {
  write_file(file("spec.toml"),
             "trials = 12\n[network]\nfile = \"net.h5\"\n[data]\nset = \"" + std::string(synthetic_data) +
                 "\"\n[[attack]]\nname = \"weight-pgd\"\neps = [1e-3, 1e-2]\nsteps = 60\n"
                 "[[attack]]\nname = \"bit-flip\"\nflips = [1, 3]\nformat = [\"fp32\", \"int8\"]\n"
                 "trials = 40\n[bounds]\nnames = [\"interval\", \"norm-product\"]\n");
  const auto start = std::chrono::steady_clock::now();
  Process process(words(file("whole.h5")), directory());
  const int code = process.wait();
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  INFO(process.err());
  REQUIRE(code == 0);
  expected_ = digest(file("whole.h5"));
}

std::vector<std::string> CrashCampaign::words(const std::string& output, int threads) const {
  std::vector<std::string> all{"run", file("spec.toml"), "-o", output, "--threads", std::to_string(threads)};
  all.insert(all.end(), options_.begin(), options_.end());
  return all;
}

void CrashCampaign::kill_at_random(int kills, std::uint64_t seed) const {
  INFO("seed " << seed);
  Stream stream(seed, {});
  const auto output = file("out.h5");
  std::int64_t before = 0;
  int midway = 0, finished = 0;
  for (int kill = 0; kill < kills; ++kill) {
    Process process(words(output, 1 + kill % 3), directory());
    sleep_seconds(stream.uniform() * 0.6 * seconds_);
    process.signal(SIGKILL);
    process.wait();
    if (std::filesystem::exists(output)) {
      CHECK(digest(output) == expected_);
      std::filesystem::remove(output);
      std::filesystem::remove(output + ".partial");
      before = 0;
      ++finished;
    } else if (std::filesystem::exists(output + ".partial")) {
      const auto saved = saved_blocks(output + ".partial");
      CHECK(saved >= before);
      before = saved;
      if (saved > 0) ++midway;
    }
  }
  CHECK(midway > kills / 10);  // otherwise nothing was tested
  Process last(words(output), directory());
  const int code = last.wait();
  INFO(last.err());
  CHECK(code == 0);
  CHECK(digest(output) == expected_);
  CHECK_FALSE(std::filesystem::exists(output + ".partial"));
  CHECK_FALSE(std::filesystem::exists(output + ".new"));
  WARN(kills << " kills: " << midway << " with blocks saved, " << finished
             << " campaigns finished, each equal to the "
             << "uninterrupted one");
}

}  // namespace temblor::testing
