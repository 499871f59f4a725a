#include "library.hpp"

#include <cmath>
#include <cstring>
#include <numeric>

#include <temblor/base/error.hpp>

namespace temblor::hdf5 {

using namespace detail;

namespace {

constexpr std::uint64_t plain_below = 4096;  // bytes; smaller ones are not worth a chunk index
constexpr std::uint64_t chunk_bytes = std::uint64_t{1} << 18U;  // fits HDF5's 1 MiB chunk cache several times

std::uint64_t elements(const Dims& dims) {
  return std::accumulate(
      dims.begin(), dims.end(), std::uint64_t{1}, [](std::uint64_t product, std::uint64_t n) {
        ensure(n == 0 || product <= ~std::uint64_t{0} / n, "the size of a dataset fits 64 bits");
        return product * n;
      });
}

Id space_of(const Dims& dims) {
  if (dims.empty()) return {H5Screate(H5S_SCALAR), H5Sclose};
  const std::vector<hsize_t> sizes(dims.begin(), dims.end());
  return {H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr), H5Sclose};
}

void lay_out(hid_t creation, const Dims& dims, std::size_t element_size, Layout layout) {
  const std::uint64_t bytes = elements(dims) * element_size;
  if (layout == Layout::early || bytes < plain_below || dims.empty()) {
    H5Pset_layout(creation, H5D_CONTIGUOUS);
    H5Pset_alloc_time(creation, H5D_ALLOC_TIME_EARLY);
    return;
  }
  std::vector<hsize_t> chunk(dims.begin(), dims.end());
  std::uint64_t size = bytes;
  for (auto& side : chunk) {
    const std::uint64_t rest = size / side;  // bytes of one slice along this axis
    side = rest >= chunk_bytes ? 1 : std::min<hsize_t>(side, std::max<hsize_t>(1, chunk_bytes / rest));
    size = rest * side;
    if (size <= chunk_bytes) break;
  }
  H5Pset_chunk(creation, static_cast<int>(chunk.size()), chunk.data());
  H5Pset_shuffle(creation);
  H5Pset_deflate(creation, 4);
}

Id create_dataset(const Node& node, const std::string& name, hid_t type, const Dims& dims, Layout layout,
                  const void* fill, hid_t memory_type) {
  const Id creation = creation_of(H5P_DATASET_CREATE);
  lay_out(creation, dims, H5Tget_size(type), layout);
  if (fill != nullptr) {
    H5Pset_fill_value(creation, memory_type, fill);
    H5Pset_fill_time(creation, H5D_FILL_TIME_ALLOC);
  } else {
    H5Pset_fill_time(creation, H5D_FILL_TIME_NEVER);
  }
  const Id space = space_of(dims);
  Id set(H5Dcreate2(node.id, name.c_str(), type, space, creation_of_links(), creation, H5P_DEFAULT),
         H5Dclose);
  if (!set.valid()) fail("create", name, node);
  return set;
}

Id open_dataset(const Node& node, const std::string& name) {
  if (!exists(node.id, name)) refuse(node, name, "there is no such dataset");
  Id set(H5Dopen2(node.id, name.c_str(), H5P_DEFAULT), H5Dclose);
  if (!set.valid()) fail("open", name, node);
  return set;
}

/// Selects [offset, offset + count) in the file's space, refusing blocks that leave it.
Id slab_space(const Node& node, const std::string& name, hid_t set, const Dims& offset, const Dims& count) {
  Id space(H5Dget_space(set), H5Sclose);
  const Dims dims = dims_of(space);
  bool inside = offset.size() == dims.size() && count.size() == dims.size();
  for (std::size_t i = 0; inside && i < dims.size(); ++i)
    inside = offset[i] <= dims[i] && count[i] <= dims[i] - offset[i];
  if (!inside) refuse(node, name, "the block asked for lies outside");
  if (dims.empty() || elements(count) == 0) return space;
  const std::vector<hsize_t> start(offset.begin(), offset.end());
  const std::vector<hsize_t> size(count.begin(), count.end());
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, size.data(), nullptr);
  return space;
}

/// Number conversion that stops at numbers the wanted type cannot hold, where HDF5 would put the nearest one.
class StrictTransfer {
 public:
  StrictTransfer() : list_(H5Pcreate(H5P_DATASET_XFER), H5Pclose) {
    H5Pset_type_conv_cb(list_, judge, &out_of_range_);
  }

  template <class T>
  void read(const Node& node, const std::string& name, hid_t set, hid_t memory_space, hid_t file_space,
            std::vector<T>& values) {
    if (H5Dread(set, Type<T>::memory(), memory_space, file_space, list_, values.data()) >= 0) return;
    if (out_of_range_)
      refuse(node, name, "it holds a number out of range of " + type_name(Type<T>::memory()));
    fail("read", name, node);
  }

 private:
  static H5T_conv_ret_t judge(H5T_conv_except_t exception, hid_t from, hid_t, void* source, void*,
                              void* data) {
    if (exception != H5T_CONV_EXCEPT_RANGE_HI && exception != H5T_CONV_EXCEPT_RANGE_LOW)
      return H5T_CONV_UNHANDLED;
    if (H5Tget_class(from) == H5T_FLOAT && H5Tget_size(from) == sizeof(double)) {
      double value = 0;
      std::memcpy(&value, source, sizeof value);
      if (std::isinf(value)) return H5T_CONV_UNHANDLED;  // stays infinite
    }
    *static_cast<bool*>(data) = true;
    return H5T_CONV_ABORT;
  }

  Id list_;
  bool out_of_range_ = false;
};

/// Refuses storage outside the file, other kinds of values, and sizes that the file cannot hold.
void check_readable(const Node& node, const std::string& name, hid_t set, std::uint64_t wanted,
                    std::size_t element_size, bool reals) {
  const Id type(H5Dget_type(set), H5Tclose);
  check_kind(node, name, type, reals);
  const Id creation(H5Dget_create_plist(set), H5Pclose);
  if (!creation.valid()) fail("read", name, node);
  const H5D_layout_t layout = H5Pget_layout(creation);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(creation) > 0) {
    refuse(node, name, "its values are stored in another file");
  }
  check_bytes(node, name, wanted, std::max(element_size, H5Tget_size(type)), layout != H5D_CHUNKED);
  if (layout == H5D_CHUNKED) {
    std::vector<hsize_t> chunk(H5S_MAX_RANK);
    const int rank = H5Pget_chunk(creation, H5S_MAX_RANK, chunk.data());
    std::uint64_t size = 1;
    for (int i = 0; i < rank; ++i) {
      const hsize_t side = chunk[static_cast<std::size_t>(i)];
      if (side == 0 || size > (std::uint64_t{1} << 32U) / side)
        refuse(node, name, "its chunks have an impossible size");
      size *= side;
    }
    check_bytes(node, name, size, H5Tget_size(type), false);
  }
}

}  // namespace

Dims Group::dims(const std::string& dataset) const {
  const Guard guard(handle_->file->name);
  const Id set = open_dataset(*handle_, dataset);
  const Id space(H5Dget_space(set), H5Sclose);
  return dims_of(space);
}

std::string Group::type(const std::string& dataset) const {
  const Guard guard(handle_->file->name);
  const Id set = open_dataset(*handle_, dataset);
  const Id type(H5Dget_type(set), H5Tclose);
  return type_name(type);
}

template <class T>
void Group::write(const std::string& name, std::span<const T> values, const Dims& dims, Layout layout) const {
  const Guard guard(handle_->file->name);
  ensure(values.size() == elements(dims), "the values of a dataset fill its dimensions");
  Id set = create_dataset(*handle_, name, Type<T>::file(), dims, layout, nullptr, H5I_INVALID_HID);
  if (!values.empty() && H5Dwrite(set, Type<T>::memory(), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()) < 0) {
    fail("write", name, *handle_);
  }
  if (!set.close()) fail("write", name, *handle_);
}

template <class T>
void Group::create(const std::string& name, const Dims& dims, T fill, Layout layout) const {
  const Guard guard(handle_->file->name);
  Id set = create_dataset(*handle_, name, Type<T>::file(), dims, layout, &fill, Type<T>::memory());
  if (!set.close()) fail("write", name, *handle_);
}

template <class T>
void Group::write_slab(const std::string& name, std::span<const T> values, const Dims& offset,
                       const Dims& count) const {
  const Guard guard(handle_->file->name);
  ensure(values.size() == elements(count), "the values of a slab fill its dimensions");
  Id set = open_dataset(*handle_, name);
  const Id file_space = slab_space(*handle_, name, set, offset, count);
  if (values.empty()) return;
  const Id memory_space = space_of(count);
  if (H5Dwrite(set, Type<T>::memory(), memory_space, file_space, H5P_DEFAULT, values.data()) < 0) {
    fail("write", name, *handle_);
  }
  if (!set.close()) fail("write", name, *handle_);
}

template <class T>
std::vector<T> Group::read(const std::string& name, std::uint64_t most) const {
  const Guard guard(handle_->file->name);
  const Id set = open_dataset(*handle_, name);
  const Id space(H5Dget_space(set), H5Sclose);
  const hssize_t points = H5Sget_simple_extent_npoints(space);
  if (points < 0) fail("read", name, *handle_);
  const auto count = static_cast<std::uint64_t>(points);
  if (count > most) refuse(*handle_, name, "more than " + std::to_string(most) + " elements");
  check_readable(*handle_, name, set, count, sizeof(T), std::is_floating_point_v<T>);
  std::vector<T> values(count);
  if (count > 0) StrictTransfer().read(*handle_, name, set, H5S_ALL, H5S_ALL, values);
  return values;
}

template <class T>
std::vector<T> Group::read_slab(const std::string& name, const Dims& offset, const Dims& count) const {
  const Guard guard(handle_->file->name);
  const Id set = open_dataset(*handle_, name);
  const Id file_space = slab_space(*handle_, name, set, offset, count);
  const std::uint64_t wanted = elements(count);
  check_readable(*handle_, name, set, wanted, sizeof(T), std::is_floating_point_v<T>);
  std::vector<T> values(wanted);
  if (values.empty()) return values;
  const Id memory_space = space_of(count);
  StrictTransfer().read(*handle_, name, set, memory_space, file_space, values);
  return values;
}

#define TEMBLOR_INSTANTIATE(T)                                                                         \
  template void Group::write<T>(const std::string&, std::span<const T>, const Dims&, Layout) const;    \
  template void Group::create<T>(const std::string&, const Dims&, T, Layout) const;                    \
  template void Group::write_slab<T>(const std::string&, std::span<const T>, const Dims&, const Dims&) \
      const;                                                                                           \
  template std::vector<T> Group::read<T>(const std::string&, std::uint64_t) const;                     \
  template std::vector<T> Group::read_slab<T>(const std::string&, const Dims&, const Dims&) const;
TEMBLOR_HDF5_FOR_EACH_TYPE(TEMBLOR_INSTANTIATE)
#undef TEMBLOR_INSTANTIATE

}  // namespace temblor::hdf5
