// How a file's bytes are read.
#pragma once

namespace tensord {

enum class ReadMode {
  kAuto,   // kPread on file systems of other machines or processes, else kMmap.
  kMmap,   // Mapped.
  kPread,  // Nothing is mapped.
};

}  // namespace tensord
