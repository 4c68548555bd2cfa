// Follows a JSON parser through a safetensors header and keeps what it says.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "rapidjson/reader.h"
#include "src/raw_header.h"

namespace tensord {

// A handler for rapidjson::Reader, parsing in situ with numbers as strings. Every event returns
// false to stop the parser; then error() says why. For one parse.
class HeaderHandler : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, HeaderHandler> {
 public:
  // `header` outlives this and has its text set, which is what the parser reads. `has_escapes`:
  // whether a string may decode to something else than its bytes, which were checked.
  HeaderHandler(RawHeader& header, bool has_escapes) : header_(header), has_escapes_(has_escapes) {}

  bool Null();
  bool Bool(bool value);
  bool RawNumber(const char* text, rapidjson::SizeType size, bool copy);
  bool String(const char* text, rapidjson::SizeType size, bool copy);
  bool StartObject();
  bool Key(const char* text, rapidjson::SizeType size, bool copy);
  bool EndObject(rapidjson::SizeType num_members);
  bool StartArray();
  bool EndArray(rapidjson::SizeType num_elements);

  // Empty unless an event has returned false.
  const std::string& error() const { return error_; }

 private:
  // What the next event belongs to.
  enum class State {
    kStart,
    kHeader,         // A name, or the header's end.
    kMetadataValue,  // What `__metadata__` is.
    kMetadata,       // A metadata key, or the metadata's end.
    kMetadataString,
    kEntryValue,  // What a tensor's name stands for.
    kEntry,       // A key of the entry, or the entry's end.
    kDtype,
    kShapeValue,
    kShape,
    kOffsetsValue,
    kOffsets,
    kUnknown,  // Within the value of a key that we do not know.
    kDone,
  };

  static absl::string_view Wanted(State state);

  bool Fail(absl::string_view problem);
  bool Unexpected(absl::string_view got);
  bool CheckText(absl::string_view text);
  bool CheckUnknownNumber(absl::string_view text);
  bool UnknownScalar();
  bool HeaderKey(absl::string_view name);
  bool EntryKey(absl::string_view key);
  bool EntryMember(bool& seen, absl::string_view key, State next);
  bool FinishEntry();
  bool FinishOffsets();
  bool AddDimension(uint64_t extent, const char* text);
  bool AddOffset(uint64_t offset);
  TextSpan Span(absl::string_view text) const;

  RawHeader& header_;
  const bool has_escapes_;
  State state_ = State::kStart;
  int depth_ = 0;
  bool seen_metadata_ = false;
  // The entry being read.
  RawTensor tensor_;
  bool in_entry_ = false;
  bool seen_dtype_ = false;
  bool seen_shape_ = false;
  bool seen_offsets_ = false;
  int num_offsets_ = 0;
  std::string error_;
};

}  // namespace tensord
