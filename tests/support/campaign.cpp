#include <csignal>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <support/campaign.hpp>
#include <support/networks.hpp>
#include <support/program.hpp>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <temblor/hdf5/digest.hpp>
#include <temblor/network/file.hpp>

namespace temblor::testing {

std::string make_network(const std::string& directory) {
  const std::string path = directory + "/net.h5";
  save_network(random_network("8-16-12-3", 7, true), path);
  return path;
}

std::string CampaignBench::expect(int code, const std::string& line) const {
  const auto outcome = run_line(line);
  INFO(line << "\n" << outcome.err);
  REQUIRE(outcome.code == code);
  return outcome.out + outcome.err;
}

std::string digest(const std::string& path) {
  return hdf5::content_digest(hdf5::File::open(path, hdf5::File::Mode::read));
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream(path) << text;
}

std::string read_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

Process::Process(const std::vector<std::string>& words, const std::string& output_directory,
                 long most_file_bytes)
    : out_(output_directory + "/process.out"), err_(output_directory + "/process.err") {
  std::vector<std::string> all{binary()};
  all.insert(all.end(), words.begin(), words.end());
  std::vector<char*> arguments;
  for (auto& word : all) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  child_ = ::fork();
  if (child_ < 0) throw std::runtime_error("cannot start a process");
  if (child_ > 0) return;
  const int out = ::open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  const int err = ::open(err_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  ::dup2(out, STDOUT_FILENO);
  ::dup2(err, STDERR_FILENO);
  if (most_file_bytes > 0) {
    const struct rlimit limit { static_cast<rlim_t>(most_file_bytes), static_cast<rlim_t>(most_file_bytes) };
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ::execv(arguments[0], arguments.data());
  ::_exit(127);
}

Process::~Process() {
  if (child_ < 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
}

void Process::signal(int number) const {
  ::kill(child_, number);
}

int Process::wait() {
  int status = 0;
  ::waitpid(child_, &status, 0);
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string Process::out() const {
  return read_file(out_);
}
std::string Process::err() const {
  return read_file(err_);
}

}  // namespace temblor::testing
