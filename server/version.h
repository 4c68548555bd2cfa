// Which release this is.
#pragma once

namespace tensord {

inline constexpr char kVersion[] = TENSORD_VERSION;  // From the project in CMake.

}  // namespace tensord
