#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <temblor/base/error.hpp>
#include <temblor/campaign/file_lock.hpp>

namespace temblor {

FileLock::FileLock(const std::string& output) : path_(output + ".lock") {
  while (true) {
    descriptor_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (descriptor_ < 0) {
      input_error("cannot write beside '" + output + "'", std::strerror(errno),
                  "the directory must exist and be writable; create it, or choose another -o");
    }
    if (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      const int why = errno;
      ::close(descriptor_);
      if (why != EWOULDBLOCK) {
        input_error("cannot lock " + path_, std::strerror(why),
                    "choose an -o on a file system that has locks");
      }
      usage_error("'" + output + "' is being written by another process", "it holds " + path_,
                  "wait until it is done, stop it, or choose another -o");
    }
    // The holder before us may have removed the file between our open and our lock: then our lock protects
    // nothing.
    struct stat held {};
    struct stat named {};
    if (::fstat(descriptor_, &held) == 0 && ::stat(path_.c_str(), &named) == 0 && held.st_ino == named.st_ino)
      return;
    ::close(descriptor_);
  }
}

FileLock::~FileLock() {
  ::unlink(path_.c_str());
  ::close(descriptor_);
}

}  // namespace temblor
