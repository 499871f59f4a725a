#include <filesystem>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>

#include <temblor/base/text.hpp>
#include <temblor/campaign/result_file.hpp>

using namespace temblor;
using namespace temblor::testing;

namespace {

testing::Outcome run_attack(const TemporaryDirectory& directory, const std::string& attack,
                            const std::string& out) {
  const std::string data = synthetic_data;
  return run_line("run --network " + make_network(directory.path()) + " --dataset " + data + " --attack " +
                  attack + " --format int8 --trials 2 -o " + directory.file(out));
}

}  // namespace

TEST_CASE("replay prints and writes the log of a search for bits, the one the campaign met") {
  const TemporaryDirectory directory;
  REQUIRE(run_attack(directory, "progressive-bit-search --set batch=60 --flips 1,3", "out.h5").code == 0);
  const auto out = directory.file("out.h5");
  const std::string one = "replay " + out + " --point 1 --trial 1 ";
  const auto csv = run_line(one + "--log " + directory.file("log.csv"));
  INFO(csv.out << csv.err);
  REQUIRE(csv.code == 0);
  CHECK(csv.out.find("search: 3 flips, ended by flips; accuracy on 60 images") != std::string::npos);

  const auto lines = split(read_file(directory.file("log.csv")), '\n');
  REQUIRE(lines.size() == 6);  // header, faultless, three flips, the end of the last line
  CHECK(lines[0] == "flip,layer,index,bit,field,before,after,loss,accuracy,moved,success");
  CHECK(lines[1].starts_with("0,,,,,,,"));
  double loss = -1;
  for (std::size_t i = 1; i < 5; ++i) {
    const auto cells = split(lines[i], ',');
    REQUIRE(cells.size() == 11);
    CHECK(cells[0] == std::to_string(i - 1));
    const double next = parse_real(cells[7], "loss");
    CHECK(next > loss);
    loss = next;
    if (i == 1) continue;
    const auto bit = parse_integer(cells[3], "bit", 0, 7);
    CHECK(parse_integer(cells[6], "after", 0, 255) ==
          (parse_integer(cells[5], "before", 0, 255) ^ (std::int64_t{1} << bit)));
  }
  CHECK(ResultFile(out).trials()[3].flipped_bits == 3);

  REQUIRE(run_line(one + "--log " + directory.file("log.json")).code == 0);
  const auto json = read_file(directory.file("log.json"));
  CHECK(json.front() == '[');
  CHECK(json.find("\"layer\"") != std::string::npos);
}

TEST_CASE("replay --log: refused where there is no log, or another file would be lost") {
  const TemporaryDirectory directory;
  REQUIRE(run_attack(directory, "bit-flip --ber 0.01", "random.h5").code == 0);
  const std::string line = "replay " + directory.file("random.h5") + " --point 0 --trial 0 --log ";
  const auto none = run_line(line + directory.file("log.csv"));
  CHECK(none.code == 2);
  CHECK(none.err.find("has no log of flips") != std::string::npos);
  CHECK_FALSE(std::filesystem::exists(directory.file("log.csv")));
  CHECK(run_line(line + directory.file("random.h5")).code == 3);
  CHECK(run_attack(directory, "progressive-bit-search --flips 2", "search.h5").code == 0);
  const auto lost = run_line("replay " + directory.file("search.h5") + " --point 0 --trial 0 --log " +
                             directory.file("no/such/log.csv"));
  CHECK(lost.code == 3);
  CHECK(lost.err.find("cannot write") != std::string::npos);
}
