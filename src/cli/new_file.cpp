#include <cstdio>
#include <vector>

#include <temblor/base/build.hpp>
#include <temblor/base/error.hpp>
#include <temblor/base/sha256.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/schema.hpp>
#include <temblor/cli/new_file.hpp>

namespace temblor::cli {

NewFile::NewFile(std::string path)
    : path_(std::move(path)), fresh_(path_ + ".new"), file_(hdf5::File::create(fresh_)) {}

NewFile::~NewFile() {
  if (!done_) std::remove(fresh_.c_str());
}

void NewFile::finish() {
  file_.sync();
  file_.close();
  if (std::rename(fresh_.c_str(), path_.c_str()) != 0) {
    input_error("cannot write " + path_, "the finished file cannot take its name",
                "give another place with -o");
  }
  done_ = true;
}

void write_provenance(const hdf5::File& file, const Arguments& arguments, const Dataset& data) {
  const auto text = [&](const char* name, const std::string& value) {
    write_item(file, std::string("/provenance/") + name, std::vector<std::string>{value});
  };
  const auto& build = build_info();
  std::vector<std::string> libraries;
  for (const auto& [library, version] : build.libraries) libraries.push_back(library + " " + version);
  text("command_line", arguments.command_line);
  text("version", build.version + ", " + build.git);
  text("compiler", build.compiler + ", " + build.flags);
  text("libraries", join(libraries, ", "));
  std::vector<std::string> inputs{arguments.required("network")};
  std::vector<std::string> hashes{sha256_file(inputs.front())};
  for (const auto& input : data.files) {
    inputs.push_back(input);
    hashes.push_back(sha256_file(input));
  }
  write_item(file, "/provenance/input_file", inputs);
  write_item(file, "/provenance/input_hash", hashes);
}

}  // namespace temblor::cli
