#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <iostream>
#include <streambuf>

#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/base/memory.hpp>
#include <temblor/cli/subcommand.hpp>
#include <temblor/hdf5/crash.hpp>

namespace {

#if defined(__x86_64__) && defined(TEMBLOR_NEEDS_V3)
/// Runs before all other code of the program, which may use any instruction of x86-64-v3; this file is
/// compiled for plain x86-64.
__attribute__((constructor(101))) void check_processor() {
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
      __builtin_cpu_supports("bmi2")) {
    return;
  }
  constexpr char message[] =
      "temblor: this processor cannot run this binary (it lacks AVX2, FMA, BMI or BMI2, that is x86-64-v3): "
      "build with "
      "cmake -DTEMBLOR_ARCH=x86-64; results then differ in the last bits from those of other builds\n";
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, message, sizeof message - 1);
  ::_exit(static_cast<int>(temblor::Exit::internal));
}
#endif

/// Standard output that fails loudly: a full disk or a closed pipe becomes an error with its reason.
class OutputBuffer : public std::streambuf {
 public:
  OutputBuffer() { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

 private:
  int_type overflow(int_type c) override {
    drain();
    if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
    return traits_type::not_eof(c);
  }

  int sync() override {
    drain();
    return 0;
  }

  void drain() {
    const char* next = pbase();
    while (next < pptr()) {
      const auto written = ::write(STDOUT_FILENO, next, static_cast<std::size_t>(pptr() - next));
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        setp(buffer_.data(), buffer_.data() + buffer_.size());
        temblor::input_error("standard output cannot be written", std::strerror(reason),
                             reason == EPIPE ? "the reader left early; what it read is correct"
                                             : "make room, or write elsewhere");
      }
      next += written;
    }
    setp(buffer_.data(), buffer_.data() + buffer_.size());
  }

  std::array<char, 1 << 16> buffer_{};
};

}  // namespace

int main(int argc, char* argv[]) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);  // a limit on file sizes becomes a failed write, which has a message
  temblor::keep_memory();
  temblor::hdf5::explain_crashes();
  OutputBuffer buffer;
  std::ostream out(&buffer);
  out.exceptions(std::ios::badbit);
  return temblor::cli::run({argv + 1, argv + argc}, {out, std::cerr, isatty(STDERR_FILENO) == 1});
}
