#pragma once

#include <string>
#include <vector>

#include <support/paths.hpp>
#include <sys/types.h>

namespace temblor::testing {

/// Writes a random dense network 8-16-12-3 with biases and returns its path.
std::string make_network(const std::string& directory);
/// A dataset that fits it, made up in memory.
inline constexpr const char* synthetic_data = "synthetic:classes=3,features=8,n=200,seed=1";
/// Content digest of an HDF5 file: everything outside /provenance and /timing.
std::string digest(const std::string& path);
void write_file(const std::string& path, const std::string& text);
std::string read_file(const std::string& path);

/// Command lines on that network and data set, in a directory of their own.
struct CampaignBench {
  TemporaryDirectory directory;
  std::string of = " --network " + make_network(directory.path()) + " --dataset " + synthetic_data;

  std::string file(const std::string& name) const { return directory.file(name); }
  /// Requires the exit code of a command line, in process; what it said on both streams.
  std::string expect(int code, const std::string& line) const;
};

/// The real program as a process of its own; output goes to files.
class Process {
 public:
  /// Starts `temblor WORDS...`; `most_file_bytes` > 0 limits the size of files it may write.
  Process(const std::vector<std::string>& words, const std::string& output_directory,
          long most_file_bytes = 0);
  ~Process();  ///< kills it when it still runs
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void signal(int number) const;
  int wait();  ///< exit code, or -signal
  std::string out() const;
  std::string err() const;

 private:
  std::string out_, err_;
  pid_t child_ = -1;
};

}  // namespace temblor::testing
