// Which models a caller may read.
#pragma once

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "src/glob.h"

namespace tensord {

// Decided on the text by which a model is called, before anybody looks whether it exists. Immutable
// once it is complete; thread-safe then.
class ModelRights {
 public:
  // Nothing at first.
  ModelRights() = default;
  static ModelRights Everything();

  // Adds what `pattern` matches, and what lies below: "gpt2" is also "gpt2/model" and
  // "gpt2/model.safetensors", and "org/name" also "org/name@COMMIT/model". BAD_REQUEST as
  // Glob::Parse.
  absl::Status Add(absl::string_view pattern);

  bool is_everything() const { return is_everything_; }

  // Whether a model may be read under this name, valid UTF-8.
  bool Allow(absl::string_view name) const;

 private:
  bool is_everything_ = false;
  std::vector<Glob> patterns_;
};

}  // namespace tensord
