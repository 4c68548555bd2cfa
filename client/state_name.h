// What a model's state is called, in JSON, tables and Python alike.
#pragma once

#include "absl/strings/string_view.h"
#include "tensord/model_info.h"

namespace tensord {

// "READY", "INCOMPLETE" or "INVALID"; "UNKNOWN" for what a later server may say.
constexpr absl::string_view StateName(ModelState state) {
  switch (state) {
    case ModelState::kReady:
      return "READY";
    case ModelState::kIncomplete:
      return "INCOMPLETE";
    case ModelState::kInvalid:
      return "INVALID";
  }
  return "UNKNOWN";
}

}  // namespace tensord
