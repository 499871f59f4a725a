#include <temblor/network/types.hpp>

namespace temblor {

Index Shape::size() const {
  Index product = 1;
  for (const Index dim : dims) product *= dim;
  return product;
}

std::string Shape::text() const {
  std::string text;
  for (const Index dim : dims) text += (text.empty() ? "" : "x") + std::to_string(dim);
  return text;
}

}  // namespace temblor
