#pragma once

#include <cstdint>
#include <vector>

#include <temblor/data/dataset.hpp>
#include <temblor/network/network.hpp>

namespace temblor::census {

/// Some images of the set and the golden run on them, whole.
struct ImageBlock {
  Index first = 0;  ///< row of the first one in the set
  Dataset data;     ///< images and labels alone
  Activations golden;
  std::vector<std::int32_t> prediction;
  std::vector<double> margin;
  bool finite = true;  ///< every value of the run

  Index size() const { return data.size(); }
  bool right(Index image) const {
    return prediction[static_cast<std::size_t>(image)] == data.labels[static_cast<std::size_t>(image)];
  }
};

ImageBlock image_block(const Network& network, const Dataset& data, Index first, Index count);

/// Images a block, so that the golden run of a block stays within about 256 MiB.
Index block_size(const Network& network);

}  // namespace temblor::census
