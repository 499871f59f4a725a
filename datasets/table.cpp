#include "readers.hpp"

#include <temblor/base/error.hpp>

namespace temblor {

const std::vector<DatasetEntry>& dataset_table() {
  static const std::vector<DatasetEntry> table = [] {
    std::vector<DatasetEntry> entries = {
        {"fashion-mnist",
         "70,000 grey pictures 28 x 28 of clothes, 10 classes (Xiao, Rasul, Vollgraf 2017)",
         "fashion-mnist",
         {"/usr/share/datasets/fashion-mnist"},
         "dataset-fashion-mnist",
         10,
         read_idx,
         holds_idx},
        {"mnist",
         "70,000 grey pictures 28 x 28 of digits, 10 classes (LeCun, Cortes, Burges 1998)",
         "mnist",
         {},
         "",
         10,
         read_idx,
         holds_idx},
        {"cifar10",
         "60,000 colour pictures 32 x 32, 10 classes, binary version (Krizhevsky 2009)",
         "cifar10",
         {},
         "",
         10,
         read_cifar10,
         holds_cifar10},
        {"idx",
         "IDX images and their labels, .gz too; a file of images, or a directory",
         "idx:t10k-images-idx3-ubyte.gz",
         {},
         "",
         0,
         read_idx,
         holds_idx},
        {"csv",
         "one image a line, label first or in the column named label; .gz too",
         "csv:points.csv",
         {},
         "",
         0,
         read_csv,
         nullptr},
        {"hdf5",
         "datasets images [n x ...] and labels [n], in / or in /train and /test",
         "hdf5:points.h5",
         {},
         "",
         0,
         read_hdf5,
         nullptr},
        {"synthetic",
         "Gaussian blobs, one a class: classes, features, n, seed, noise",
         "synthetic:classes=3,features=8,n=200,seed=1",
         {},
         "",
         0,
         read_synthetic,
         nullptr},
    };
    for (const auto& entry : entries) {
      ensure(!entry.name.empty() && !entry.help.empty() && !entry.example.empty() && entry.read != nullptr,
             "dataset table entry is complete: " + entry.name);
    }
    return entries;
  }();
  return table;
}

void resize_images(Matrix& values, std::uint64_t images, std::uint64_t size, const std::string& file) {
  if (size == 0 || images > most_values / size) {
    input_error("'" + file + "'",
                std::to_string(images) + " images of " + std::to_string(size) + " values are too many",
                "give a smaller file");
  }
  values.resize(static_cast<Index>(images), static_cast<Index>(size));
}

}  // namespace temblor
