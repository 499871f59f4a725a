#pragma once

#include <csignal>

namespace temblor {

/// While it lives, SIGINT and SIGTERM ask for a stop; a second one leaves the process at once with code 130.
/// SIGXFSZ is ignored, so that a file-size limit is a failed write and not a death. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool requested() noexcept;  ///< someone asked for a stop

 private:
  struct sigaction before_interrupt_ {
  }, before_terminate_{}, before_size_{};
};

}  // namespace temblor
