#pragma once

#include <string>

namespace temblor {

/// One process at a time works on an output file: an exclusive lock on PATH.lock, which ends with the process
/// however it ends. Usage error when another process has it; bad-input error naming the directory when the
/// file cannot be made. The lock file is removed with the object.
class FileLock {
 public:
  explicit FileLock(const std::string& output);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace temblor
