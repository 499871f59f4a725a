#include <array>

#include <temblor/base/error.hpp>
#include <temblor/hdf5/file.hpp>

namespace temblor::hdf5 {

void stamp(const File& file, const std::string& filetype, std::int32_t major, std::int32_t minor) {
  file.set_text("filetype", filetype);
  const std::array<std::int32_t, 2> version{major, minor};
  file.set<std::int32_t>("schema_version", version);
}

void check_stamp(const File& file, const std::string& filetype, std::int32_t major) {
  const std::string where = "'" + file.file_name() + "'";
  const auto found = file.text("filetype");
  if (!found) {
    input_error(where, "it has no attribute 'filetype'; a " + filetype + " file is needed",
                "give a file that temblor wrote");
  }
  if (*found != filetype) {
    input_error(where, "it is a " + *found + " file; a " + filetype + " file is needed",
                "give the other file");
  }
  const auto version = file.get<std::int32_t>("schema_version");
  if (!version || version->size() != 2) {
    input_error(where, "its attribute 'schema_version' is not two whole numbers", "write the file again");
  }
  if (version->front() != major) {
    input_error(where,
                "schema version " + std::to_string(version->at(0)) + "." + std::to_string(version->at(1)) +
                    "; this program reads " + std::to_string(major) + ".x",
                version->front() > major ? "use a newer temblor" : "write the file again with this version");
  }
}

}  // namespace temblor::hdf5
