#pragma once

#include <string>

#include <temblor/network/network.hpp>

namespace temblor::testing {

/// A network of this shape after one epoch on the first training images of Fashion-MNIST; throws Error where
/// the set is missing.
Network trained_on_fashion(const std::string& arch, int images);

}  // namespace temblor::testing
