#include <algorithm>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <vector>

#include <hdf5.h>
#include <support/hdf5_text.hpp>

namespace temblor::testing {
namespace {

constexpr hsize_t most_bytes = hsize_t{1} << 18U;  // written of one object
constexpr std::size_t most_objects = 500;          // of one file

using Words = std::vector<std::string>;

/// An HDF5 identifier that closes itself. What is not valid is passed on: the library refuses it.
struct Id {
  hid_t id;
  herr_t (*close)(hid_t);
  Id(hid_t made, herr_t (*closer)(hid_t)) : id(made), close(closer) {}
  Id(const Id&) = delete;
  Id& operator=(const Id&) = delete;
  ~Id() {
    if (id >= 0) close(id);
  }
  operator hid_t() const { return id; }  // NOLINT(google-explicit-constructor): used as the C API uses ids
};

std::string unescaped(const std::string& word) {
  std::string text;
  for (std::size_t i = 0; i < word.size(); ++i) {
    unsigned byte = 0;
    const char* begin = word.data() + i + 1;
    if (word[i] == '%' && i + 2 < word.size() &&
        std::from_chars(begin, begin + 2, byte, 16).ptr == begin + 2) {
      text += static_cast<char>(byte);
      i += 2;
    } else {
      text += word[i];
    }
  }
  return text;
}

std::uint64_t number(std::string_view text, std::uint64_t initial) {
  std::uint64_t value = initial;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

std::vector<hsize_t> sizes_of(std::string_view text) {
  std::vector<hsize_t> sizes;
  while (!text.empty() && sizes.size() < H5S_MAX_RANK) {
    const auto end = text.find('x');
    sizes.push_back(number(text.substr(0, end), 1));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return sizes;
}

hid_t space_of(const std::string& dims) {
  if (dims == "scalar") return H5Screate(H5S_SCALAR);
  if (dims == "null") return H5Screate(H5S_NULL);
  const auto sizes = sizes_of(dims);
  return H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr);
}

hid_t text_type(const std::string& name) {
  const hid_t type = H5Tcopy(H5T_C_S1);
  const bool fixed = name.starts_with("text") && name.size() > 4;
  const bool spaces = name.starts_with("space");
  H5Tset_size(type, fixed || spaces
                        ? std::clamp<std::uint64_t>(number(name.substr(spaces ? 5 : 4), 1), 1, 4096)
                        : H5T_VARIABLE);
  if (spaces) H5Tset_strpad(type, H5T_STR_SPACEPAD);
  if (name != "ascii") H5Tset_cset(type, H5T_CSET_UTF8);
  return type;
}

hid_t half_type() {
  const hid_t type = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(type, 15, 10, 5, 0, 10);
  H5Tset_size(type, 2);
  H5Tset_ebias(type, 15);
  return type;
}

hid_t compound_type() {
  const hid_t type = H5Tcreate(H5T_COMPOUND, 8);
  H5Tinsert(type, "r", 0, H5T_IEEE_F32LE);
  H5Tinsert(type, "i", 4, H5T_IEEE_F32LE);
  return type;
}

hid_t enum_type() {
  const hid_t type = H5Tenum_create(H5T_STD_I8LE);
  const std::int8_t values[] = {0, 1};
  H5Tenum_insert(type, "FALSE", &values[0]);
  H5Tenum_insert(type, "TRUE", &values[1]);
  return type;
}

hid_t type_of(const std::string& name) {
  struct Named {
    const char* name;
    hid_t type;
  };
  const Named numbers[] = {{"f32", H5T_IEEE_F32LE},  {"f64", H5T_IEEE_F64LE},       {"i8", H5T_STD_I8LE},
                           {"i16", H5T_STD_I16LE},   {"i32", H5T_STD_I32LE},        {"i64", H5T_STD_I64LE},
                           {"u8", H5T_STD_U8LE},     {"u16", H5T_STD_U16LE},        {"u32", H5T_STD_U32LE},
                           {"u64", H5T_STD_U64LE},   {"f32be", H5T_IEEE_F32BE},     {"f64be", H5T_IEEE_F64BE},
                           {"i32be", H5T_STD_I32BE}, {"i64be", H5T_STD_I64BE},      {"u16be", H5T_STD_U16BE},
                           {"u32be", H5T_STD_U32BE}, {"reference", H5T_STD_REF_OBJ}};
  for (const auto& one : numbers) {
    if (name == one.name) return H5Tcopy(one.type);
  }
  const hsize_t pair = 2;
  if (name == "f16") return half_type();
  if (name == "enum") return enum_type();
  if (name == "opaque") return H5Tcreate(H5T_OPAQUE, 3);
  if (name == "compound") return compound_type();
  if (name == "array") return H5Tarray_create2(H5T_IEEE_F32LE, 1, &pair);
  if (name == "vlen") return H5Tvlen_create(H5T_STD_I32LE);
  return text_type(name);
}

/// Values of `count` elements for `type`, in the form that `memory` gets; empty where there are none.
std::vector<char> values_of(hid_t type, hsize_t count, const Words& words, Words& kept, hid_t& memory) {
  const H5T_class_t kind = H5Tget_class(type);
  const bool variable = H5Tis_variable_str(type) > 0;
  std::size_t size = H5Tget_size(type);
  memory = type;
  if (kind == H5T_FLOAT || kind == H5T_INTEGER) {
    memory = kind == H5T_FLOAT ? H5T_NATIVE_DOUBLE
                               : (H5Tget_sign(type) == H5T_SGN_NONE ? H5T_NATIVE_UINT64 : H5T_NATIVE_INT64);
    size = 8;
  }
  if (words.empty() || kind == H5T_VLEN || kind == H5T_REFERENCE || count > most_bytes / size) return {};
  std::vector<char> bytes(count * size, '\0');
  for (hsize_t i = 0; i < count; ++i) {
    char* at = bytes.data() + i * size;
    const std::string& word = kept[i % kept.size()];
    if (kind == H5T_FLOAT) {
      const double value = std::strtod(word.c_str(), nullptr);
      std::memcpy(at, &value, sizeof value);
    } else if (kind == H5T_INTEGER) {
      const std::uint64_t value = word.starts_with('-')
                                      ? static_cast<std::uint64_t>(std::strtoll(word.c_str(), nullptr, 10))
                                      : std::strtoull(word.c_str(), nullptr, 10);
      std::memcpy(at, &value, sizeof value);
    } else if (variable) {
      const char* pointer = word.c_str();
      std::memcpy(at, &pointer, sizeof pointer);
    } else {
      std::memcpy(at, word.data(), std::min(word.size(), size));
    }
  }
  return bytes;
}

/// Calls `write` with memory type and bytes, where there are values to write.
template <class Write>
void fill(hid_t type, hid_t space, const Words& words, Write&& write) {
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  if (points <= 0) return;
  Words kept;
  for (const auto& word : words) kept.push_back(unescaped(word));
  hid_t memory = type;
  const auto bytes = values_of(type, static_cast<hsize_t>(points), words, kept, memory);
  if (!bytes.empty()) write(memory, bytes.data());
}

/// Whether HDF5 reserves room for all values when the dataset is made.
bool reserves(const std::string& layout) {
  return layout == "plain" || layout == "compact";
}

void lay_out(hid_t creation, const std::string& layout, const std::string& dims, const std::string& path) {
  const auto colon = layout.find(':');
  const std::string kind = layout.substr(0, colon);
  if (kind == "compact") H5Pset_layout(creation, H5D_COMPACT);
  if (kind == "late") H5Pset_alloc_time(creation, H5D_ALLOC_TIME_LATE);
  if (kind == "external") H5Pset_external(creation, "/dev/zero", 0, H5F_UNLIMITED);
  if (kind == "virtual") {
    const Id space(space_of(dims), H5Sclose);
    H5Pset_virtual(creation, space, (path + ".other").c_str(), "/x", space);
  }
  if (kind != "chunked" && kind != "deflate" && kind != "checked") return;
  auto chunk = sizes_of(colon == std::string::npos ? dims : layout.substr(colon + 1));
  if (colon == std::string::npos) {
    for (auto& side : chunk) side = std::clamp<hsize_t>(side, 1, 16);
  }
  H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
  if (kind == "deflate") H5Pset_deflate(creation, 1);
  if (kind == "checked") H5Pset_fletcher32(creation);
}

void add_set(hid_t file, hid_t links, const Words& words, const std::string& path) {
  const Id type(type_of(words[2]), H5Tclose);
  const Id space(space_of(words[3]), H5Sclose);
  const Id creation(H5Pcreate(H5P_DATASET_CREATE), H5Pclose);
  H5Pset_obj_track_times(creation, false);
  lay_out(creation, words[4], words[3], path);
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  const Words values(words.begin() + 5, words.end());
  if (points < 0 || (reserves(words[4]) && static_cast<hsize_t>(points) > most_bytes / H5Tget_size(type)))
    return;
  const Id set(H5Dcreate2(file, words[1].c_str(), type, space, links, creation, H5P_DEFAULT), H5Dclose);
  if (set < 0 || words[4] == "external" || words[4] == "virtual" || words[4] == "late") return;
  fill(type, space, values,
       [&](hid_t memory, const char* bytes) { H5Dwrite(set, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, bytes); });
}

void add_attribute(hid_t file, const Words& words) {
  const Id type(type_of(words[3]), H5Tclose);
  const Id space(space_of(words[4]), H5Sclose);
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  if (points < 0 || static_cast<hsize_t>(points) > most_bytes / H5Tget_size(type)) return;
  const std::string name = unescaped(words[2]);
  const Id attribute(H5Acreate_by_name(file, words[1].c_str(), name.c_str(), type, space, H5P_DEFAULT,
                                       H5P_DEFAULT, H5P_DEFAULT),
                     H5Aclose);
  if (attribute < 0) return;
  fill(type, space, {words.begin() + 5, words.end()},
       [&](hid_t memory, const char* bytes) { H5Awrite(attribute, memory, bytes); });
}

void add(hid_t file, hid_t links, const Words& words, const std::string& path) {
  const auto is = [&](const char* kind, std::size_t least) {
    return words[0] == kind && words.size() >= least;
  };
  const auto word = [&](std::size_t i) { return words[i].c_str(); };
  if (is("group", 2)) {
    const Id group(H5Gcreate2(file, word(1), links, H5P_DEFAULT, H5P_DEFAULT), H5Gclose);
  } else if (is("set", 5)) {
    add_set(file, links, words, path);
  } else if (is("attribute", 5)) {
    add_attribute(file, words);
  } else if (is("soft", 3)) {
    H5Lcreate_soft(word(2), file, word(1), links, H5P_DEFAULT);
  } else if (is("hard", 3)) {
    H5Lcreate_hard(file, word(2), file, word(1), links, H5P_DEFAULT);
  } else if (is("outer", 4)) {
    H5Lcreate_external(word(2), word(3), file, word(1), links, H5P_DEFAULT);
  }
}

}  // namespace

void write_hdf5(std::string_view text, const std::string& path) {
  // Unlimited free lists: the library's caches are then cleared and not asked for anew with every file.
  static const bool ready = (H5dont_atexit(), H5open(), H5set_free_list_limits(-1, -1, -1, -1, -1, -1),
                             H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr) >= 0);
  static_cast<void>(ready);
  const Id access(H5Pcreate(H5P_FILE_ACCESS), H5Pclose);
  const bool latest = text.starts_with("latest");
  H5Pset_libver_bounds(access, latest ? H5F_LIBVER_LATEST : H5F_LIBVER_EARLIEST, H5F_LIBVER_LATEST);
  H5Pset_fclose_degree(access, H5F_CLOSE_STRONG);
  const Id links(H5Pcreate(H5P_LINK_CREATE), H5Pclose);
  H5Pset_create_intermediate_group(links, 1);
  const Id file(H5Fcreate(path.c_str(), H5F_ACC_TRUNC, H5P_DEFAULT, access), H5Fclose);
  std::istringstream lines{std::string(text)};
  std::string line;
  for (std::size_t objects = 0; objects < most_objects && std::getline(lines, line); ++objects) {
    std::erase(line, '\0');
    std::istringstream parts(line);
    Words words;
    for (std::string word; parts >> word;) words.push_back(word);
    if (!words.empty()) add(file, links, words, path);
  }
  H5Eclear2(H5E_DEFAULT);
}

}  // namespace temblor::testing
