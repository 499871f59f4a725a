#include "proto.hpp"

#include "lines.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>

namespace temblor::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

class Mutator {
 public:
  Mutator(Message& root, unsigned seed) : random_(seed) { collect(root); }

  void run() {
    Message& message = *messages_[below(messages_.size())];
    const auto* type = message.GetDescriptor();
    std::vector<const FieldDescriptor*> set;
    message.GetReflection()->ListFields(message, &set);
    // Fields that have a value more often than those that have none.
    const bool known = !set.empty() && below(4) != 0;
    if (!known && type->field_count() == 0) return;
    const auto* field =
        known ? set[below(set.size())]
              : type->field(static_cast<int>(below(static_cast<std::size_t>(type->field_count()))));
    field->is_repeated() ? change_list(message, field) : change_value(message, field);
  }

 private:
  std::size_t below(std::size_t count) { return count == 0 ? 0 : random_() % count; }

  void collect(Message& message) {
    messages_.push_back(&message);
    std::vector<const FieldDescriptor*> set;
    const Reflection* reflection = message.GetReflection();
    reflection->ListFields(message, &set);
    for (const auto* field : set) {
      const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
      for (int i = 0; i < count; ++i) {
        if (field->type() == FieldDescriptor::TYPE_STRING) {
          strings_.push_back(field->is_repeated() ? reflection->GetRepeatedString(message, field, i)
                                                  : reflection->GetString(message, field));
        } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
          collect(field->is_repeated() ? *reflection->MutableRepeatedMessage(&message, field, i)
                                       : *reflection->MutableMessage(&message, field));
        }
      }
    }
  }

  /// A message of that type from elsewhere, serialised: changing one may end the life of the other.
  std::string other(const google::protobuf::Descriptor* type) {
    for (int tries = 0; tries < 20; ++tries) {
      const Message* one = messages_[below(messages_.size())];
      if (one->GetDescriptor() == type) return one->SerializePartialAsString();
    }
    return "";
  }

  std::string text(const FieldDescriptor* field, std::string old) {
    if (field->type() == FieldDescriptor::TYPE_STRING && !strings_.empty() && below(4) != 0) {
      return strings_[below(strings_.size())];
    }
    const std::size_t size = old.size();
    old.resize(size + 16);
    old.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(old.data()), size, old.size()));
    return old;
  }

  std::int64_t whole(std::int64_t old) {
    constexpr std::array<std::int64_t, 22> usual{
        -2147483648, -65536, -3, -2, -1, 0,   1,   2,     3,       4,          5,
        6,           7,      8,  16, 64, 255, 256, 65536, 1 << 28, 2147483647, 4294967296};
    switch (below(6)) {
      case 0:
        return old < std::numeric_limits<std::int64_t>::max() ? old + 1 : old;
      case 1:
        return old > std::numeric_limits<std::int64_t>::min() ? old - 1 : old;
      case 2:
        return below(2) == 0 ? std::numeric_limits<std::int64_t>::max()
                             : std::numeric_limits<std::int64_t>::min();
      default:
        return usual[below(usual.size())];
    }
  }

  double real(double old) {
    const std::array<double, 12> usual{0, -0.0, 1, -1, 0.5, 2, 1e-38, -1, 1e38, 1e300, NAN, INFINITY};
    return below(4) == 0 ? old * 1.5 : usual[below(usual.size())];
  }

  int any_of(const google::protobuf::EnumDescriptor* type) {
    return type->value(static_cast<int>(below(static_cast<std::size_t>(type->value_count()))))->number();
  }

  void change_value(Message& message, const FieldDescriptor* field) {
    const Reflection* reflection = message.GetReflection();
    if (below(8) == 0) return reflection->ClearField(&message, field);
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection->SetInt32(&message, field,
                                    static_cast<std::int32_t>(whole(reflection->GetInt32(message, field))));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection->SetInt64(&message, field, whole(reflection->GetInt64(message, field)));
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection->SetUInt64(&message, field, static_cast<std::uint64_t>(whole(3)));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection->SetFloat(
            &message, field,
            static_cast<float>(real(static_cast<double>(reflection->GetFloat(message, field)))));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection->SetDouble(&message, field, real(reflection->GetDouble(message, field)));
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection->SetEnumValue(&message, field, any_of(field->enum_type()));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection->SetString(&message, field, text(field, reflection->GetString(message, field)));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        const std::string bytes = other(field->message_type());
        reflection->MutableMessage(&message, field)->ParsePartialFromString(bytes);
        return;
      }
      default:
        return;
    }
  }

  void change_list(Message& message, const FieldDescriptor* field) {
    const Reflection* reflection = message.GetReflection();
    const int count = reflection->FieldSize(message, field);
    const int at = static_cast<int>(below(static_cast<std::size_t>(count)));
    switch (count == 0 ? 0 : below(5)) {
      case 0:
        return append(message, field);
      case 1:
        reflection->SwapElements(&message, field, at, count - 1);
        return reflection->RemoveLast(&message, field);
      case 2:
        return reflection->SwapElements(&message, field, at,
                                        static_cast<int>(below(static_cast<std::size_t>(count))));
      default:
        return change_element(message, field, at);
    }
  }

  void append(Message& message, const FieldDescriptor* field) {
    const Reflection* reflection = message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection->AddInt32(&message, field, static_cast<std::int32_t>(whole(1)));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection->AddInt64(&message, field, whole(1));
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection->AddUInt64(&message, field, static_cast<std::uint64_t>(whole(1)));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection->AddFloat(&message, field, static_cast<float>(real(1)));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection->AddDouble(&message, field, real(1));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection->AddString(&message, field, text(field, ""));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        const std::string bytes = other(field->message_type());
        reflection->AddMessage(&message, field)->ParsePartialFromString(bytes);
        return;
      }
      default:
        return;
    }
  }

  void change_element(Message& message, const FieldDescriptor* field, int at) {
    const Reflection* reflection = message.GetReflection();
    switch (field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection->SetRepeatedInt32(
            &message, field, at,
            static_cast<std::int32_t>(whole(reflection->GetRepeatedInt32(message, field, at))));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection->SetRepeatedInt64(&message, field, at,
                                            whole(reflection->GetRepeatedInt64(message, field, at)));
      case FieldDescriptor::CPPTYPE_FLOAT:
        return reflection->SetRepeatedFloat(&message, field, at, static_cast<float>(real(1)));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return reflection->SetRepeatedDouble(&message, field, at, real(1));
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection->SetRepeatedString(&message, field, at,
                                             text(field, reflection->GetRepeatedString(message, field, at)));
      case FieldDescriptor::CPPTYPE_MESSAGE: {
        const std::string bytes = other(field->message_type());
        reflection->MutableRepeatedMessage(&message, field, at)->ParsePartialFromString(bytes);
        return;
      }
      default:
        return;
    }
  }

  std::minstd_rand random_;
  std::vector<Message*> messages_;
  std::vector<std::string> strings_;
};

}  // namespace

void mutate(Message& message, unsigned seed) {
  Mutator(message, seed).run();
}

std::size_t mutate_message(Message& empty, std::uint8_t* data, std::size_t size, std::size_t most,
                           unsigned seed) {
  std::minstd_rand random(seed);
  if (random() % 8 == 0 || !empty.ParsePartialFromArray(data, static_cast<int>(size))) {
    return LLVMFuzzerMutate(data, size, most);
  }
  for (std::size_t times = 1 + random() % 3; times > 0; --times)
    mutate(empty, static_cast<unsigned>(random()));
  std::string bytes;
  if (!empty.SerializePartialToString(&bytes) || bytes.size() > most)
    return LLVMFuzzerMutate(data, size, most);
  std::copy(bytes.begin(), bytes.end(), data);
  return bytes.size();
}

}  // namespace temblor::fuzz
