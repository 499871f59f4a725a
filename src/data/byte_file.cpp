#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include <zlib.h>

#include <temblor/base/error.hpp>
#include <temblor/data/byte_file.hpp>

namespace temblor {
namespace {

constexpr std::size_t longest_line = std::size_t{1} << 26U;
constexpr std::uint64_t deflate_ratio = 1032;  // the most that deflate can shrink

[[noreturn]] void damaged(const std::string& path, const std::string& why) {
  input_error("cannot read '" + path + "'", why, "fetch or write the file again");
}

}  // namespace

struct ByteFile::State {
  std::string path;
  gzFile file = nullptr;
  std::uint64_t size = 0;
  std::array<std::uint8_t, 1 << 16> buffer{};  ///< of line()
  std::size_t used = 0;
  std::size_t filled = 0;

  ~State() {
    if (file != nullptr) gzclose_r(file);
  }
};

ByteFile::ByteFile(const std::string& path) : state_(std::make_unique<State>()) {
  state_->path = path;
  std::error_code missing;
  const auto status = std::filesystem::status(path, missing);
  if (!std::filesystem::exists(status))
    input_error("cannot open '" + path + "'", "no such file", "check the path");
  if (!std::filesystem::is_regular_file(status))
    input_error("cannot open '" + path + "'", "not a file", "check the path");
  state_->size = std::filesystem::file_size(path);
  errno = 0;
  state_->file = gzopen(path.c_str(), "rb");
  if (state_->file == nullptr) {
    input_error("cannot open '" + path + "'", errno != 0 ? std::strerror(errno) : "out of memory",
                "check the permissions");
  }
  gzbuffer(state_->file, 1U << 17U);
}

ByteFile::~ByteFile() = default;
ByteFile::ByteFile(ByteFile&&) noexcept = default;
ByteFile& ByteFile::operator=(ByteFile&&) noexcept = default;

const std::string& ByteFile::path() const {
  return state_->path;
}

std::uint64_t ByteFile::most() const {
  return gzdirect(state_->file) != 0 ? state_->size : state_->size * deflate_ratio;
}

std::size_t ByteFile::read(std::span<std::uint8_t> bytes) {
  std::size_t done = 0;
  while (done < bytes.size()) {
    const auto want =
        static_cast<unsigned>(std::min<std::size_t>(bytes.size() - done, std::size_t{1} << 30U));
    const int got = gzread(state_->file, bytes.data() + done, want);
    int code = Z_OK;
    const char* text = gzerror(state_->file, &code);
    if (code == Z_BUF_ERROR) damaged(state_->path, "the compressed data end too early");
    if (got < 0 || code < 0) {
      damaged(state_->path,
              code == Z_ERRNO ? std::strerror(errno) : "not valid gz data: " + std::string(text));
    }
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  return done;
}

void ByteFile::read_all(std::span<std::uint8_t> bytes, const std::string& what) {
  const std::size_t got = read(bytes);
  if (got == bytes.size()) return;
  damaged(state_->path,
          "it ends within " + what + ": " + std::to_string(bytes.size() - got) + " bytes are missing");
}

void ByteFile::expect_end() {
  std::array<std::uint8_t, 1> one{};
  if (read(one) != 0) damaged(state_->path, "it has more bytes than its header says");
}

bool ByteFile::line(std::string& text) {
  State& state = *state_;
  text.clear();
  bool any = false;
  for (;;) {
    if (state.used == state.filled) {
      state.filled = read(state.buffer);
      state.used = 0;
      if (state.filled == 0) return any;
    }
    any = true;
    const std::uint8_t* begin = state.buffer.data() + state.used;
    const std::uint8_t* end = state.buffer.data() + state.filled;
    const std::uint8_t* stop = std::find(begin, end, std::uint8_t{'\n'});
    text.append(reinterpret_cast<const char*>(begin), static_cast<std::size_t>(stop - begin));
    if (text.size() > longest_line) damaged(state.path, "a line is longer than 64 MiB");
    state.used = static_cast<std::size_t>(stop - state.buffer.data());
    if (stop == end) continue;
    ++state.used;
    if (!text.empty() && text.back() == '\r') text.pop_back();
    return true;
  }
}

std::string plain_or_gz(const std::string& path) {
  std::error_code ignored;
  for (const auto& candidate : {path, path + ".gz"}) {
    if (std::filesystem::is_regular_file(candidate, ignored)) return candidate;
  }
  return "";
}

}  // namespace temblor
