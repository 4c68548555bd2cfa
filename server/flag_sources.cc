#include "server/flag_sources.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "server/config_file.h"
#include "src/escape.h"
#include "src/status_macros.h"

namespace tensord {
namespace {

using Names = std::set<std::string, std::less<>>;

constexpr absl::string_view kConfig = "config";

// The flags among the arguments, by name.
Names Given(const std::vector<std::string>& arguments) {
  Names names;
  for (absl::string_view argument : arguments) {
    if (!absl::ConsumePrefix(&argument, "--")) continue;
    names.emplace(argument.substr(0, argument.find('=')));
  }
  return names;
}

// All flags that have a value from elsewhere than the command line.
Names Known(const CLI::App& app) {
  Names names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.insert(name);
  }
  names.erase("help");
  names.erase("version");
  return names;
}

// The value of the last `--config` among the arguments, else of its variable; empty without one.
std::string ConfigPath(const std::vector<std::string>& arguments) {
  for (size_t i = arguments.size(); i-- > 0;) {
    absl::string_view argument = arguments[i];
    if (argument == "--config" && i + 1 < arguments.size()) return arguments[i + 1];
    if (absl::ConsumePrefix(&argument, "--config=")) return std::string(argument);
  }
  const char* const value = std::getenv(VariableOf(kConfig).c_str());
  return value == nullptr ? "" : value;
}

bool AsksForHelp(const std::vector<std::string>& arguments) {
  return std::any_of(arguments.begin(), arguments.end(), [](const std::string& argument) {
    return argument == "--help" || argument == "-h" || argument == "--version";
  });
}

void AddVariables(const Names& given, const Names& known, FlagSources& sources) {
  for (const std::string& name : known) {
    const std::string variable = VariableOf(name);
    const char* const value = std::getenv(variable.c_str());
    if (value == nullptr || *value == '\0' || given.count(name) > 0) continue;
    std::vector<std::string> values = {value};
    if (IsRepeatable(name)) values = absl::StrSplit(value, ',', absl::SkipEmpty());
    for (const std::string& each : values) {
      sources.arguments.push_back(absl::StrCat("--", name, "=", each));
    }
    sources.origins[name] = variable;
  }
}

absl::Status AddFile(const std::string& path, const Names& given, const Names& known,
                     FlagSources& sources) {
  TENSORD_ASSIGN_OR_RETURN(const std::vector<ConfigEntry> entries, ReadConfigFile(path));
  Names seen;
  for (const ConfigEntry& entry : entries) {
    const std::string place = absl::StrCat(path, " line ", entry.line);
    if (known.count(entry.key) == 0 || !HasPlaceInFile(entry.key)) {
      return absl::InvalidArgumentError(
          absl::StrCat(place, ": there is no key ", Quote(entry.key)));
    }
    if (!seen.insert(entry.key).second && !IsRepeatable(entry.key)) {
      return absl::InvalidArgumentError(absl::StrCat(place, ": ", entry.key, " stands here twice"));
    }
    const auto origin = sources.origins.find(entry.key);
    const bool in_environment =
        origin != sources.origins.end() && !absl::StartsWith(origin->second, path);
    if (given.count(entry.key) > 0 || in_environment) continue;
    sources.arguments.push_back(absl::StrCat("--", entry.key, "=", entry.value));
    sources.origins[entry.key] = place;
  }
  return absl::OkStatus();
}

}  // namespace

std::string VariableOf(absl::string_view flag) {
  return absl::StrCat("TENSORD_", absl::AsciiStrToUpper(absl::StrReplaceAll(flag, {{"-", "_"}})));
}

bool HasPlaceInFile(absl::string_view flag) {
  for (const char* other : {"", "help", "version", "config", "check-config", "print-config"}) {
    if (flag == other) return false;
  }
  return true;
}

bool IsRepeatable(absl::string_view flag) {
  return flag == "store" || flag == "listen" || flag == "preload" || flag == "unix-allow-uid";
}

absl::StatusOr<FlagSources> GatherFlags(const CLI::App& app, std::vector<std::string> arguments) {
  FlagSources sources;
  const std::string path = AsksForHelp(arguments) ? "" : ConfigPath(arguments);
  const Names given = Given(arguments);
  const Names known = Known(app);
  sources.arguments = std::move(arguments);
  AddVariables(given, known, sources);
  if (!path.empty()) TENSORD_RETURN_IF_ERROR(AddFile(path, given, known, sources));
  return sources;
}

std::vector<std::string> GivenValues(const FlagSources& sources, absl::string_view flag,
                                     bool is_switch) {
  const std::string name = absl::StrCat("--", flag);
  std::vector<std::string> values;
  for (size_t i = 0; i < sources.arguments.size(); ++i) {
    absl::string_view argument = sources.arguments[i];
    if (argument == name && is_switch) {
      values.push_back("true");
    } else if (argument == name && i + 1 < sources.arguments.size()) {
      values.push_back(sources.arguments[i + 1]);
    } else if (absl::ConsumePrefix(&argument, name) && absl::ConsumePrefix(&argument, "=")) {
      values.emplace_back(argument);
    }
  }
  return values;
}

}  // namespace tensord
