#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <temblor/base/error.hpp>
#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

/// What the fuzz targets share. A target is one reader: it takes the fuzzer's bytes for a file's contents, or
/// for the description of a file (hdf5_text.hpp), and reads it. Anything but success or a refusal as bad
/// input is a finding: another error, another exception, a sanitizer's report, a hang, or memory beyond
/// scripts/fuzz.sh's limits.
namespace temblor::fuzz {

/// Runs `read`. An error with another code than `refusal` ends the program, so that libFuzzer keeps the
/// input.
void judge(const std::function<void()>& read, Exit refusal = Exit::bad_input);

/// Ends the program, naming the promise, unless `kept`.
void demand(bool kept, std::string_view promise);

/// Path of a file of this process in the directory for temporary files, which scripts/fuzz.sh empties.
std::string scratch(const std::string& name);
void write_file(const std::string& path, std::string_view bytes);
std::string gz(std::string_view bytes);

/// Reads the images at `set` (DataRequest::set) and holds what it read against what readers promise.
void read_images_of(const std::string& set, Split split = Split::test);
/// What holds of every network that a reader returns: it can be described, it computes logits of an image
/// when that takes little time, and a native file gives it back.
void examine(const Network& network);

}  // namespace temblor::fuzz
