#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "proto/convert.h"
#include "src/error.h"

namespace tensord {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The requests nest five deep; protobuf itself reads no more than 100 levels.
constexpr int kMaxDepth = 100;

// What a message holds that we do not know, and where; paths grow from the inside out.
struct Finding {
  ErrorReason reason = ErrorReason::kUnknownField;
  std::string path;
  std::string what;
  std::string owner = "";  // Of an unknown field: its message's type.
};

std::optional<Finding> FindUnknown(const Message& message, int depth);

// Looks into the sub-message that `step` leads to.
std::optional<Finding> FindBelow(const Message& message, const std::string& step, int depth) {
  std::optional<Finding> finding = FindUnknown(message, depth + 1);
  if (finding) finding->path = absl::StrCat(step, finding->path.empty() ? "" : ".", finding->path);
  return finding;
}

// Singular enums only: the requests have no lists of them.
std::optional<Finding> FindUnknownEnumValue(const Message& message, const FieldDescriptor& field) {
  if (field.is_repeated()) return std::nullopt;
  const int value = message.GetReflection()->GetEnumValue(message, &field);
  if (field.enum_type()->FindValueByNumber(value) != nullptr) return std::nullopt;
  return Finding{ErrorReason::kBadRequest, field.name(),
                 absl::StrCat(value, " is no value of ", field.enum_type()->name())};
}

std::optional<Finding> FindInField(const Message& message, const FieldDescriptor& field,
                                   int depth) {
  const Reflection& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    return FindUnknownEnumValue(message, field);
  }
  if (field.cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) return std::nullopt;
  if (!field.is_repeated()) {
    if (!reflection.HasField(message, &field)) return std::nullopt;
    return FindBelow(reflection.GetMessage(message, &field), field.name(), depth);
  }
  const int size = reflection.FieldSize(message, &field);
  for (int i = 0; i < size; ++i) {
    const Message& element = reflection.GetRepeatedMessage(message, &field, i);
    auto finding = FindUnknown(element, depth + 1);
    if (!finding) continue;  // The path is made only when it is needed.
    return FindBelow(element, absl::StrCat(field.name(), "[", i, "]"), depth);
  }
  return std::nullopt;
}

std::optional<Finding> FindUnknown(const Message& message, int depth) {
  if (depth > kMaxDepth) return Finding{ErrorReason::kBadRequest, "", "nested too deeply"};
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  if (!unknown.empty()) {
    return Finding{ErrorReason::kUnknownField, "",
                   absl::StrCat("field ", unknown.field(0).number()),
                   message.GetDescriptor()->name()};
  }
  const auto& descriptor = *message.GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    if (auto finding = FindInField(message, *descriptor.field(i), depth)) return finding;
  }
  return std::nullopt;
}

}  // namespace

absl::Status CheckNoUnknownFields(const Message& request) {
  const std::optional<Finding> finding = FindUnknown(request, 0);
  if (!finding) return absl::OkStatus();
  const absl::string_view colon = finding->path.empty() ? "" : ": ";
  const std::string where = absl::StrCat(finding->path, colon, finding->what);
  if (finding->reason != ErrorReason::kUnknownField) return MakeError(finding->reason, where);
  return MakeError(ErrorReason::kUnknownField,
                   absl::StrCat(where, " of ", finding->owner,
                                " is not known to this server, which is older than the client"),
                   {{"field", where}});
}

}  // namespace tensord
