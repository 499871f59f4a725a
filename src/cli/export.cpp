#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <ostream>

#include <temblor/base/error.hpp>
#include <temblor/base/text.hpp>
#include <temblor/campaign/census_file.hpp>
#include <temblor/cli/campaign_options.hpp>
#include <temblor/cli/commands.hpp>
#include <temblor/cli/output.hpp>
#include <temblor/hdf5/file.hpp>
#include <temblor/report/census_tables.hpp>
#include <temblor/report/result_tables.hpp>

namespace temblor::cli {
namespace {

[[noreturn]] void cannot_write(const std::string& path) {
  input_error("cannot write " + path, std::strerror(errno), "make room, or give another place with -o");
}

/// Writes beside the target and renames, so that a failure leaves no half file under the wanted name. What is
/// not a plain file (/dev/stdout, a pipe) is written to directly.
void write_file(const std::string& path, const std::string& source,
                const std::function<void(std::ostream&)>& write) {
  std::error_code none;
  if (std::filesystem::equivalent(path, source, none)) {
    usage_error("-o " + path, "that is the file to export from", "give another name");
  }
  const bool direct = std::filesystem::exists(path, none) && !std::filesystem::is_regular_file(path, none);
  if (!direct && is_hdf5(path)) {
    input_error("cannot write '" + path + "'", "it exists and is an HDF5 file",
                "name another file, or remove it first");
  }
  const std::string target = direct ? path : path + ".partial";
  errno = 0;
  std::ofstream out(target, std::ios::binary | std::ios::trunc);
  if (!out) cannot_write(path);
  write(out);
  out.close();
  if (out && (direct || std::rename(target.c_str(), path.c_str()) == 0)) return;
  const int reason = errno;
  if (!direct) std::remove(target.c_str());
  errno = reason;
  cannot_write(path);
}

std::string table_names() {
  std::vector<std::string> names;
  for (const auto& table : result_tables()) names.push_back(table.name);
  for (const auto& table : census_tables()) names.push_back(table.name);
  return join(names, "|");
}

std::string table_details() {
  std::string text = "Long tables, one observation a row, for data frames. One row is\n";
  for (const auto& table : result_tables()) text += "- " + table.name + ": " + table.help + "\n";
  for (const auto& table : census_tables()) text += "- " + table.name + ": " + table.help + "\n";
  return text +
         "Reals keep all their digits. Non-finite ones are inf, -inf and nan (in JSON as texts, which has no "
         "such "
         "numbers); what was not measured is empty (null).";
}

/// The table of the file, ready to be written.
std::function<void(std::ostream&)> writer_of(const std::string& path, const std::string& name,
                                             TableFormat format, IntervalMethod method) {
  if (is_hdf5(path) && hdf5::File::open(path, hdf5::File::Mode::read).text("filetype") == census_filetype) {
    const CensusTable& table = find_census_table(name);
    return [&table, format, file = std::make_shared<CensusFile>(path)](std::ostream& out) {
      RowWriter writer(out, format, table.columns);
      table.rows(*file, writer);
      writer.finish();
    };
  }
  for (const auto& table : census_tables()) {
    if (table.name == name) {
      input_error(path + " has no table '" + name + "'", "it is no census",
                  "give a file made by temblor census");
    }
  }
  const ResultTable& table = find_result_table(name);
  return [&table, format, method, file = std::make_shared<ResultFile>(path)](std::ostream& out) {
    write_table(out, *file, table, format, method);
  };
}

int run_export(const Arguments& arguments, const Streams& streams) {
  const TableFormat format = parse_table_format(arguments.required("format"), "value of --format");
  const auto method = parse_interval(arguments.required("interval"), "value of --interval");
  const auto source = *arguments.positional("FILE");
  const auto write = writer_of(source, arguments.required("table"), format, method);
  if (const auto path = arguments.text("output")) {
    write_file(*path, source, write);
  } else {
    write(streams.out);
  }
  return 0;
}

}  // namespace

Subcommand export_command() {
  return {.name = "export",
          .help = "write a table of a result file or census as CSV, JSON or text",
          .details = table_details(),
          .examples = {"temblor export out.h5 --table points --format csv",
                       "temblor export out.h5 --table samples --format json -o samples.json",
                       "temblor export out.h5 --table rates --interval clopper-pearson",
                       "temblor export census.h5 --table bits --format text"},
          .positionals = {{"FILE", "result file, file of bounds or certificates, or census"}},
          .options =
              {{.name = "table", .value = "NAME", .help = table_names(), .letter = 't', .required = true},
               {.name = "format", .value = "NAME", .help = "csv|json|text", .initial = "csv", .letter = 'f'},
               interval_option(),
               {.name = "output",
                .value = "FILE",
                .help = "write there instead of standard output",
                .letter = 'o'}},
          .run = run_export};
}

}  // namespace temblor::cli
