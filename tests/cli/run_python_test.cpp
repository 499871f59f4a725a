#include <cstdlib>

#include <catch2/catch.hpp>
#include <support/campaign.hpp>
#include <support/paths.hpp>
#include <support/program.hpp>
#include <support/python.hpp>

using namespace temblor;
using namespace temblor::testing;

TEST_CASE("a result file opens in h5py: tables are columns, dimensions have scales, datasets units") {
  const auto python = python_with_h5py();
  if (python.empty()) return;
  const TemporaryDirectory directory;
  const auto run = run_program({"run", "--network", make_network(directory.path()), "--dataset",
                                synthetic_data, "--attack", "bit-flip", "--flips", "1,2", "--trials", "3",
                                "--bound", "interval", "-o", directory.file("out.h5")});
  INFO(run.err);
  REQUIRE(run.code == 0);
  write_file(directory.file("read.py"), R"(
import sys
import h5py
import numpy
with h5py.File(sys.argv[1]) as file:
    trials = {name: column[:] for name, column in file["trials"].items()}
    assert {len(column) for column in trials.values()} == {6}, trials
    assert list(trials["point"]) == [0, 0, 0, 1, 1, 1]
    assert (trials["outcome"] == 1).all()
    assert list(file["points/attack"].asstr()[:]) == ["bit-flip"] * 2
    drops = file["margins/worst_drop"]
    assert drops.shape == (2, 200) and drops.dtype == numpy.float64
    assert drops.attrs["unit"] == "logit" and drops.attrs["meaning"]
    assert [list(dim.keys()) for dim in drops.dims] == [["point"], ["sample"]]
    assert (drops.dims[1][0][:] == numpy.arange(200)).all()
    assert abs(file["samples/golden_margin"][0].min()) < 1e3
    assert file.attrs["filetype"] == "temblor-result"
)");
  CHECK(std::system((python + " " + directory.file("read.py") + " " + directory.file("out.h5")).c_str()) ==
        0);
}
