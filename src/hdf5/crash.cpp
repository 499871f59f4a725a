#include "library.hpp"

#include <array>
#include <csignal>
#include <cstring>

#include <pthread.h>
#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/crash.hpp>

namespace temblor::hdf5 {
namespace {

constexpr std::array fatal{SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
std::array<struct sigaction, 65> before;

void say(const char* text) {
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text, std::strlen(text));
}

void explain(int signal) {
  if (const char* file = detail::Guard::file_of_this_thread()) {
    say("temblor: cannot use '");
    say(file);
    say("' (the HDF5 library crashed on it): the file is damaged, write it again\n");
    ::_exit(static_cast<int>(Exit::bad_input));
  }
  // Back to what was there before; returning repeats the fault, and abort() raises its signal again.
  ::sigaction(signal, &before[static_cast<std::size_t>(signal)], nullptr);
}

}  // namespace

void explain_crashes() {
  struct sigaction action {};
  action.sa_handler = explain;
  sigemptyset(&action.sa_mask);
  for (const int signal : fatal) ::sigaction(signal, &action, &before[static_cast<std::size_t>(signal)]);
}

}  // namespace temblor::hdf5
