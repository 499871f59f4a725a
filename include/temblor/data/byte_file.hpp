#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace temblor {

/// Bytes of a file, decompressed when it is gz, in order. Every error is bad input and names the file.
class ByteFile {
 public:
  explicit ByteFile(const std::string& path);
  ~ByteFile();
  ByteFile(ByteFile&&) noexcept;
  ByteFile& operator=(ByteFile&&) noexcept;

  const std::string& path() const;
  /// No more than this many bytes can come: the file's size, or what deflate can make of it.
  std::uint64_t most() const;
  /// Reads up to bytes.size() bytes and returns how many there were; fewer only at the end. A damaged or
  /// truncated gz file is an error.
  std::size_t read(std::span<std::uint8_t> bytes);
  /// Reads exactly bytes.size() bytes; otherwise an error saying that the file ends within `what`.
  void read_all(std::span<std::uint8_t> bytes, const std::string& what);
  /// Error unless the file ends here.
  void expect_end();
  /// Reads a line without its end (LF or CR LF); false at the end of the file. Lines above 64 MiB are
  /// refused.
  bool line(std::string& text);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// `path` or `path`.gz, whichever is a file; "" when neither is.
std::string plain_or_gz(const std::string& path);

}  // namespace temblor
