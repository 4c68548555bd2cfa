// Where the value of a flag comes from: the command line beats the environment beats the file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace CLI {
class App;
}  // namespace CLI

namespace tensord {

// "TENSORD_CHUNK_BYTES" for "chunk-bytes".
std::string VariableOf(absl::string_view flag);

// Whether a configuration file may hold the flag.
bool HasPlaceInFile(absl::string_view flag);

// Flags of which each use adds a value; in their variables commas separate several.
bool IsRepeatable(absl::string_view flag);

// The whole command line, as if everything had been given there.
struct FlagSources {
  std::vector<std::string> arguments;  // Without the program's name.
  // By flag, "chunk-bytes": what an error says of it, "TENSORD_CHUNK_BYTES" or "FILE line 3". A
  // flag that is not here was given on the command line, or not at all.
  std::map<std::string, std::string, std::less<>> origins;
};

// The values of a flag that was given, as they were written; "true" for a switch without one.
// `is_switch`: it takes no value from the next argument.
std::vector<std::string> GivenValues(const FlagSources& sources, absl::string_view flag,
                                     bool is_switch);

// Adds to `arguments` what they lack and the environment has, then what both lack and the file has
// that `--config` or TENSORD_CONFIG names. `app` knows which flags there are. Empty variables count
// as absent. INVALID_ARGUMENT, naming file and line, for a key that is no flag, that stands twice
// without being repeatable, or that makes no sense there; and as ReadConfigFile.
absl::StatusOr<FlagSources> GatherFlags(const CLI::App& app, std::vector<std::string> arguments);

}  // namespace tensord
