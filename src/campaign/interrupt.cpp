#include <atomic>

#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/campaign/interrupt.hpp>

namespace temblor {
namespace {

std::atomic<int> signals{0};
static_assert(std::atomic<int>::is_always_lock_free, "signal handlers need it");

void on_signal(int) {
  if (signals.fetch_add(1) > 0) ::_exit(static_cast<int>(Exit::interrupted));
}

}  // namespace

InterruptGuard::InterruptGuard() {
  signals = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, &before_interrupt_);
  // A shell starts background jobs with SIGINT ignored: that wish is kept.
  if (before_interrupt_.sa_handler == SIG_IGN) sigaction(SIGINT, &before_interrupt_, nullptr);
  sigaction(SIGTERM, &action, &before_terminate_);
  action.sa_handler = SIG_IGN;
  sigaction(SIGXFSZ, &action, &before_size_);
}

InterruptGuard::~InterruptGuard() {
  sigaction(SIGINT, &before_interrupt_, nullptr);
  sigaction(SIGTERM, &before_terminate_, nullptr);
  sigaction(SIGXFSZ, &before_size_, nullptr);
}

bool InterruptGuard::requested() noexcept {
  return signals.load() > 0;
}

}  // namespace temblor
