#pragma once

#include <string>

#include <catch2/catch.hpp>

#include <temblor/base/error.hpp>

namespace temblor::testing {

/// What the error of `read` says, whose code must be `code`; "taken" when there is none.
template <class Read>
std::string refusal(Read&& read, Exit code = Exit::bad_input) {
  try {
    read();
  } catch (const Error& error) {
    CHECK(error.code() == code);
    return error.what();
  }
  return "taken";
}

}  // namespace temblor::testing
