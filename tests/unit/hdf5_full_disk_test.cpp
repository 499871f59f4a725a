#include <array>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>
#include <iostream>
#include <string>

#include <catch2/catch.hpp>
#include <support/paths.hpp>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/random/stream.hpp>

using namespace temblor;
using namespace temblor::hdf5;

namespace {

/// Runs `action` in a child process and returns its error message, "" when it had none.
std::string error_in_child(const std::function<void()>& action) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe(ends.data()) == 0);
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::string text;
    try {
      action();
    } catch (const std::exception& error) {
      text = error.what();
    }
    const auto written = ::write(ends[1], text.data(), text.size());
    ::_exit(written < 0 ? 1 : 0);
  }
  ::close(ends[1]);
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t n; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;)
    text.append(buffer.data(), static_cast<std::size_t>(n));
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
  return text;
}

void write_much(const std::string& path, Layout layout) {
  Stream stream(1, {});
  std::vector<float> values(100000);
  for (auto& value : values) value = static_cast<float>(stream.uniform());
  const File file = File::create(path);
  file.write<float>("values", values, {100, 1000}, layout);
  file.close();
}

void write_small_pieces(const std::string& path) {
  const File file = File::create(path);
  for (int i = 0; i < 400; ++i) file.set_text("attribute" + std::to_string(i), std::string(200, 'x'));
  file.close();
}

}  // namespace

TEST_CASE("a write beyond the limit on file sizes is an error naming the file and the cure") {
  for (const rlim_t limit : {0U, 2000U, 8000U, 100000U}) {
    for (const auto layout : {Layout::early, Layout::compressed}) {
      const testing::TemporaryDirectory directory;
      const auto path = directory.file("a.h5");
      const auto text = error_in_child([&] {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit size{limit, limit};
        ::setrlimit(RLIMIT_FSIZE, &size);
        write_much(path, layout);
      });
      CHECK_THAT(text,
                 Catch::Contains(path) && Catch::Contains("File too large") && Catch::Contains("ulimit -f"));
    }
  }
}

TEST_CASE("a full disk is an error naming the file and the cure, wherever it strikes") {
  const testing::TemporaryDirectory directory;
  if (::mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=64k") != 0) {
    std::cout << "skipped: mounting a small disk is not permitted here (" << std::strerror(errno) << ")\n";
    return;
  }
  const auto path = directory.file("a.h5");
  std::vector<std::string> texts;
  texts.push_back(error_in_child([&] { write_much(path, Layout::early); }));
  std::filesystem::remove(path);
  texts.push_back(error_in_child([&] { write_much(path, Layout::compressed); }));
  std::filesystem::remove(path);
  texts.push_back(error_in_child([&] { write_small_pieces(path); }));
  ::umount(directory.path().c_str());
  for (const auto& text : texts) {
    CHECK_THAT(text,
               Catch::Contains(path) && Catch::Contains("disk full") && Catch::Contains("free some space"));
  }
}
