#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>
#include <tuple>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/perturb/fault_map.hpp>

namespace temblor {
namespace {

constexpr std::uint64_t slab = std::uint64_t{1} << 18U;  // rows read at a time
constexpr std::uint64_t most_rows = std::uint64_t{1} << 28U;
constexpr std::array<const char*, 3> kind_names{"flip", "stuck-at-0", "stuck-at-1"};

/// Reads and checks row by row.
class Reader {
 public:
  Reader(const std::string& path, const FaultMapPlace& place)
      : file_(hdf5::File::open(path, hdf5::File::Mode::read)), place_(place) {
    hdf5::check_stamp(file_, faults_filetype, faults_major);
    check_attributes();
    check_columns();
  }

  FaultMap read() {
    const auto kinds = text_column("kind");
    const auto layers = text_column("layer");
    std::vector<MapEntry> entries;
    entries.reserve(rows_);
    for (std::uint64_t first = 0; first < rows_; first += slab) {
      const std::uint64_t count = std::min(slab, rows_ - first);
      const auto layer = layers.empty() ? whole("layer", first, count, 0) : std::vector<std::int64_t>{};
      const auto index = whole("index", first, count, 0);
      const auto bit = whole("bit", first, count, 0);
      const auto kind = kinds.empty() ? whole("kind", first, count, 0) : std::vector<std::int64_t>{};
      const auto trial = whole("trial", first, count, -1);
      const auto probability = real("probability", first, count);
      for (std::uint64_t i = 0; i < count; ++i) {
        const std::uint64_t row = first + i;
        MapEntry entry;
        entry.at.layer = layers.empty() ? checked_layer(row, layer[i]) : named_layer(row, layers[row]);
        entry.at.index = checked_index(row, entry.at.layer, index[i]);
        entry.at.bit = checked_bit(row, bit[i]);
        entry.kind = kinds.empty() ? checked_kind(row, kind[i]) : named_kind(row, kinds[row]);
        entry.probability = checked_probability(row, probability[i]);
        entry.trial = checked_trial(row, trial[i]);
        entries.push_back(entry);
      }
    }
    check_repeats(entries);
    return {std::move(entries), trials_};
  }

 private:
  [[noreturn]] void refuse(std::uint64_t row, const std::string& why, const std::string& cure) const {
    input_error("'" + file_.file_name() + "', row " + std::to_string(row), why, cure);
  }

  void check_attributes() {
    const std::string where = "'" + file_.file_name() + "'";
    if (const auto format = file_.text("format"); format && *format != place_.format.name) {
      input_error(where,
                  "its bits are those of format " + *format + ", the campaign stores weights in " +
                      place_.format.name,
                  "give --format " + *format + ", or another file");
    }
    if (const auto id = file_.text("network_id")) {
      const bool same =
          *id == place_.network.id() || (place_.original != nullptr && *id == place_.original->id());
      if (!same) {
        const auto own = (place_.original != nullptr ? *place_.original : place_.network).id();
        input_error(where,
                    "it was made for the network " + id->substr(0, 12) + ", this is " + own.substr(0, 12),
                    "give that network, or leave the attribute network_id out of a map that fits both");
      }
    }
    if (const auto trials = file_.get<std::int64_t>("trials")) {
      if (trials->size() != 1 || trials->front() < 1)
        input_error(where, "its attribute 'trials' is not a number of trials", "write a whole number from 1");
      trials_ = trials->front();
    }
  }

  void check_columns() {
    const std::string where = "'" + file_.file_name() + "'";
    for (const char* name : {"layer", "index", "bit"}) {
      if (!file_.is_dataset(name))
        input_error(where, std::string("it has no dataset '") + name + "'",
                    "docs/fault-file.md names the columns");
    }
    rows_ = std::numeric_limits<std::uint64_t>::max();
    for (const char* name : {"layer", "index", "bit", "kind", "probability", "trial"}) {
      if (!file_.is_dataset(name)) continue;
      const auto dims = file_.dims(name);
      if (dims.size() != 1) {
        input_error(where + ", dataset '" + name + "'",
                    "it has " + std::to_string(dims.size()) + " dimensions",
                    "write a column: one number a row");
      }
      if (rows_ == std::numeric_limits<std::uint64_t>::max()) rows_ = dims[0];
      if (dims[0] != rows_) {
        input_error(where + ", dataset '" + name + "'",
                    "it has " + std::to_string(dims[0]) + " rows, 'layer' has " + std::to_string(rows_),
                    "give every fault one row in every column");
      }
    }
    if (rows_ > most_rows) {
      input_error(where, std::to_string(rows_) + " rows; at most " + std::to_string(most_rows) + " are read",
                  "split the file");
    }
  }

  std::vector<std::string> text_column(const std::string& name) const {
    if (!file_.is_dataset(name) || file_.type(name) != "text") return {};
    return file_.read_strings(name);
  }
  std::vector<std::int64_t> whole(const std::string& name, std::uint64_t first, std::uint64_t count,
                                  std::int64_t initial) const {
    if (!file_.is_dataset(name)) return std::vector<std::int64_t>(count, initial);
    return file_.read_slab<std::int64_t>(name, {first}, {count});
  }
  std::vector<double> real(const std::string& name, std::uint64_t first, std::uint64_t count) const {
    if (!file_.is_dataset(name)) return std::vector<double>(count, 1.0);
    return file_.read_slab<double>(name, {first}, {count});
  }

  std::uint32_t checked_layer(std::uint64_t row, std::int64_t layer) const {
    const int layers = place_.network.layers();
    if (layer < 0 || layer >= layers) {
      refuse(row,
             "layer " + std::to_string(layer) + "; the network has weighted layers 0 to " +
                 std::to_string(layers - 1),
             "correct the row (temblor inspect lists the layers)");
    }
    return static_cast<std::uint32_t>(layer);
  }
  std::uint32_t named_layer(std::uint64_t row, const std::string& name) const {
    for (int layer = 0; layer < place_.network.layers(); ++layer) {
      if (place_.network.layer_name(layer) == name) return static_cast<std::uint32_t>(layer);
    }
    refuse(row, "the network has no weighted layer '" + name + "'",
           "correct the row (temblor inspect lists the layers)");
  }
  std::uint32_t checked_index(std::uint64_t row, std::uint32_t layer, std::int64_t index) const {
    const auto& weight = place_.network.weights(static_cast<int>(layer)).weight;
    if (index < 0 || index >= weight.size()) {
      refuse(row,
             "index " + std::to_string(index) + "; layer " + std::to_string(layer) + " has weights 0 to " +
                 std::to_string(weight.size() - 1) + " (" + std::to_string(weight.rows()) + " x " +
                 std::to_string(weight.cols()) + ", row by row)",
             "correct the row");
    }
    return static_cast<std::uint32_t>(index);
  }
  std::uint32_t checked_bit(std::uint64_t row, std::int64_t bit) const {
    if (bit < 0 || bit >= place_.format.bits) {
      refuse(row,
             "bit " + std::to_string(bit) + "; format " + place_.format.name + " has bits 0 to " +
                 std::to_string(place_.format.bits - 1),
             "correct the row, or give the format it is meant for");
    }
    return static_cast<std::uint32_t>(bit);
  }
  FaultKind checked_kind(std::uint64_t row, std::int64_t kind) const {
    if (kind < 0 || kind >= static_cast<std::int64_t>(kind_names.size())) {
      refuse(row, "kind " + std::to_string(kind) + " is unknown",
             "write 0 (flip), 1 (stuck-at-0) or 2 (stuck-at-1)");
    }
    return static_cast<FaultKind>(kind);
  }
  FaultKind named_kind(std::uint64_t row, const std::string& name) const {
    const auto found = std::find(kind_names.begin(), kind_names.end(), name);
    if (found == kind_names.end())
      refuse(row, "kind '" + name + "' is unknown", "write flip, stuck-at-0 or stuck-at-1");
    return static_cast<FaultKind>(found - kind_names.begin());
  }
  double checked_probability(std::uint64_t row, double probability) const {
    if (!(probability >= 0 && probability <= 1)) {
      refuse(row, "probability " + to_text(probability) + " is not from 0 to 1", "correct the row");
    }
    return probability;
  }
  std::int64_t checked_trial(std::uint64_t row, std::int64_t trial) const {
    constexpr std::int64_t most = std::numeric_limits<std::uint32_t>::max();
    if (trial < -1 || trial > most)
      refuse(row, "trial " + std::to_string(trial), "write a number from 0, or -1 for every trial");
    if (trials_ && trial >= *trials_) {
      refuse(row,
             "trial " + std::to_string(trial) + "; the attribute 'trials' says " + std::to_string(*trials_),
             "correct the row or the attribute");
    }
    return trial;
  }

  /// A bit is listed once a trial: twice the same flip would be no fault, and two kinds have no order.
  void check_repeats(const std::vector<MapEntry>& entries) const {
    std::vector<std::uint32_t> order(entries.size());
    std::iota(order.begin(), order.end(), 0U);
    const auto key = [&](std::uint32_t i) { return std::tuple(entries[i].at, entries[i].trial, i); };
    std::sort(order.begin(), order.end(), [&](auto a, auto b) { return key(a) < key(b); });
    std::size_t begin = 0;  // of the entries of one bit
    for (std::size_t i = 1; i < order.size(); ++i) {
      const auto& entry = entries[order[i]];
      if (entry.at != entries[order[begin]].at) begin = i;
      if (begin == i) continue;
      const bool always = entries[order[begin]].trial < 0;
      if (!always && entry.trial != entries[order[i - 1]].trial) continue;
      const auto other = order[always ? begin : i - 1];
      refuse(std::max(order[i], other),
             "layer " + std::to_string(entry.at.layer) + ", index " + std::to_string(entry.at.index) +
                 ", bit " + std::to_string(entry.at.bit) + " is in row " +
                 std::to_string(std::min(order[i], other)) + " already" +
                 (entry.trial < 0 ? "" : " for trial " + std::to_string(entry.trial)),
             "list a bit once for a trial");
    }
  }

  hdf5::File file_;
  const FaultMapPlace& place_;
  std::uint64_t rows_ = 0;
  std::optional<std::int64_t> trials_;
};

template <class T>
void write_column(const hdf5::File& file, const std::string& name, const std::vector<T>& values,
                  const std::string& meaning) {
  file.write<T>(name, values, {values.size()});
  file.set_text("meaning", meaning, name);
}

}  // namespace

FaultMap read_fault_map(const std::string& path, const FaultMapPlace& place) {
  return Reader(path, place).read();
}

void FaultList::add(std::int64_t of_trial, const BitFault& fault) {
  trial.push_back(of_trial);
  layer.push_back(fault.layer);
  index.push_back(fault.index);
  bit.push_back(static_cast<std::uint8_t>(fault.bit));
  before.push_back(fault.before);
  after.push_back(fault.after);
}

void write_fault_list(const hdf5::File& file, const FaultList& list, const std::string& format,
                      const std::string& network_id, std::int64_t trials) {
  hdf5::stamp(file, faults_filetype, faults_major, faults_minor);
  file.set_text("format", format);
  file.set_text("network_id", network_id);
  file.set<std::int64_t>("trials", std::span<const std::int64_t>(&trials, 1));
  write_column(file, "trial", list.trial, "the fault is of this trial alone; -1: of every trial");
  write_column(file, "layer", list.layer, "weighted layer, from 0");
  write_column(file, "index", list.index, "weight of the layer, row-major in [outputs x inputs]");
  write_column(file, "bit", list.bit, "bit of the stored code; 0 is the least significant");
  write_column(file, "kind", std::vector<std::uint8_t>(list.bit.size(), 0),
               "0 flip, 1 stuck-at-0, 2 stuck-at-1");
  write_column(file, "before", list.before, "code before this flip; for information");
  write_column(file, "after", list.after, "code after it; for information");
}

}  // namespace temblor
