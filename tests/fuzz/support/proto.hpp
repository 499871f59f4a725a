#pragma once

#include <cstddef>
#include <cstdint>

#include <google/protobuf/message.h>

namespace temblor::fuzz {

/// One change somewhere in `message`, by reflection: a value becomes another one, an element or a message is
/// repeated, removed, exchanged or copied from elsewhere in it; strings are mostly taken from it, so that
/// names keep meeting.
void mutate(google::protobuf::Message& message, unsigned seed);

/// libFuzzer's custom mutator for serialised messages: mostly mutate(), at times bytes are changed. `empty`
/// is a message of the kind.
std::size_t mutate_message(google::protobuf::Message& empty, std::uint8_t* data, std::size_t size,
                           std::size_t most, unsigned seed);

}  // namespace temblor::fuzz
