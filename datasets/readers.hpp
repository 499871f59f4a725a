#pragma once

#include <temblor/data/dataset.hpp>

/// The readers that datasets/table.cpp lists.
namespace temblor {

RawImages read_idx(const std::string& path, Split split);
bool holds_idx(const std::string& directory, Split split);
RawImages read_cifar10(const std::string& path, Split split);
bool holds_cifar10(const std::string& directory, Split split);
RawImages read_csv(const std::string& path, Split split);
RawImages read_hdf5(const std::string& path, Split split);
RawImages read_synthetic(const std::string& parameters, Split split);

/// Sizes a batch of images; refuses, naming the file, more values than most_values.
void resize_images(Matrix& values, std::uint64_t images, std::uint64_t size, const std::string& file);

}  // namespace temblor
