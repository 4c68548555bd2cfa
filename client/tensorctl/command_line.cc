#include "client/tensorctl/command_line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/tensorctl/exit_code.h"
#include "client/tensorctl/help_text.h"
#include "src/escape.h"
#include "src/status_macros.h"
#include "tensord/dtype.h"

namespace tensord::ctl {
namespace {

// What CLI11 fills in. Texts that need a second look are converted afterwards.
struct Words {
  GlobalOptions global;
  std::string timeout;
  std::vector<std::string> dtypes;
  std::vector<std::string> shards;
  ModelsOptions models;
  LsOptions ls;
  ShowOptions show;
  PeekOptions peek;
  GetOptions get;
  PullOptions pull;
  CheckOptions check;
  BenchOptions bench;
  ProbeOptions probe;
  double bench_seconds = 5;
};

constexpr char kModelHelp[] = "Id or name of the model";
constexpr char kSliceHelp[] = "Name of the tensor, perhaps with a slice";

CLI::App* AddCommand(CLI::App& app, const char* name, const char* about, const char* examples) {
  CLI::App* command = app.add_subcommand(name, about);
  command->footer(examples);
  return command;
}

// One value each time, so that CLI11 does not take "[a,b]" apart.
void AddList(CLI::App* command, const char* name, std::vector<std::string>& list, const char* about,
             const char* type) {
  command
      ->add_option_function<std::string>(
          name, [&list](const std::string& value) { list.push_back(value); }, about)
      ->type_name(type)
      ->trigger_on_parse()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void AddShard(CLI::App* command, Words& words) {
  AddList(command, "--shard", words.shards,
          "Part I of N of dimension DIM, then perhaps ,multiple=M ,padded=P ,uneven; repeatable",
          "DIM:I/N");
}

void AddGlobals(CLI::App& app, Words& words) {
  app.add_option("-s,--server", words.global.server,
                 "Where tensord listens: host:port or unix:///path")
      ->envname("TENSORD_ADDRESS")
      ->type_name("ADDRESS")
      ->capture_default_str();
  const auto add_file = [&app](const char* name, std::string& path, const char* about,
                               const char* variable) {
    app.add_option(name, path, about)->envname(variable)->type_name("FILE");
  };
  add_file("--tls-ca", words.global.tls_ca,
           "Speak TLS with a server whose certificate one of these has signed, PEM",
           "TENSORD_TLS_CA");
  add_file("--tls-cert", words.global.tls_cert, "Own certificate for servers that ask for one, PEM",
           "TENSORD_TLS_CERT");
  add_file("--tls-key", words.global.tls_key, "Its key, PEM", "TENSORD_TLS_KEY");
  add_file("--token-file", words.global.token_file,
           "File with the bearer token; sent over TLS and Unix sockets only", "TENSORD_TOKEN_FILE");
  app.add_flag("--json", words.global.json, "Exact answers for programs instead of tables");
  app.add_option("--timeout", words.timeout, "End the command after this time, e.g. 30s, 5m")
      ->type_name("DURATION");
  app.set_version_flag("--version", "tensorctl " TENSORD_VERSION);
}

void AddListings(CLI::App& app, Words& words) {
  CLI::App* models = AddCommand(app, "models", "List the models of the store", kModelsExamples);
  models->add_option("FILTER", words.models.filter, "Glob on ids")->type_name("");

  CLI::App* ls = AddCommand(app, "ls", "List the tensors of a model", kLsExamples);
  ls->add_option("MODEL", words.ls.model, kModelHelp)->required()->type_name("");
  ls->add_option("PATTERN", words.ls.pattern, "Glob on tensor names")->type_name("");
  AddList(ls, "--dtype", words.dtypes, "Only tensors of this dtype; repeatable", "DTYPE");
  ls->add_flag("--offset-order", words.ls.by_offset, "By file and place in it, instead of by name");

  CLI::App* show = AddCommand(app, "show", "Describe a model, or one tensor of it", kShowExamples);
  show->add_option("MODEL", words.show.model, kModelHelp)->required()->type_name("");
  show->add_option("TENSOR", words.show.tensor, "Name of the tensor")->type_name("");
  AddList(show, "--key", words.show.keys,
          "Show only this metadata key, its value in full; repeatable", "KEY");
}

void AddReads(CLI::App& app, Words& words) {
  CLI::App* peek = AddCommand(app, "peek", "Print some values of a tensor", kPeekExamples);
  peek->add_option("MODEL", words.peek.model, kModelHelp)->required()->type_name("");
  peek->add_option("TENSOR[SLICE]", words.peek.tensor, kSliceHelp)->required()->type_name("");
  AddShard(peek, words);

  CLI::App* get = AddCommand(app, "get", "Fetch a tensor or a slice of one", kGetExamples);
  get->add_option("MODEL", words.get.model, kModelHelp)->required()->type_name("");
  get->add_option("TENSOR[SLICE]", words.get.tensor, kSliceHelp)->required()->type_name("");
  get->add_option("-o,--output", words.get.output, "Where to, and in which format")
      ->required()
      ->type_name("FILE.{npy,safetensors,bin}|-");
  get->add_flag("-f,--force", words.get.force, "Write raw bytes to a terminal all the same");
  AddShard(get, words);
}

void AddFiles(CLI::App& app, Words& words) {
  CLI::App* pull =
      AddCommand(app, "pull", "Copy a model's files and side files, byte for byte", kPullExamples);
  pull->add_option("MODEL", words.pull.model, kModelHelp)->required()->type_name("");
  pull->add_option("DIR", words.pull.directory, "Where to; made if it is missing")
      ->required()
      ->type_name("");
  AddList(pull, "--include", words.pull.includes,
          "Only files whose names match this glob; repeatable", "PATTERN");
  pull->add_flag("--restart", words.pull.restart, "Drop what an unfinished pull has left in DIR");

  CLI::App* bench = AddCommand(app, "bench", "Measure throughput and latency", kBenchExamples);
  bench->add_option("MODEL", words.bench.model, "Id or name of the model; default: the largest")
      ->type_name("");
  bench->add_option("TENSOR", words.bench.tensor, "Name of the tensor; default: the largest")
      ->type_name("");
  bench->add_option("--connections", words.bench.num_connections, "Connections to the server")
      ->check(CLI::Range(1, 64))
      ->type_name("N")
      ->capture_default_str();
  bench->add_option("--streams", words.bench.num_streams, "Reads at once, over all connections")
      ->check(CLI::Range(1, 256))
      ->type_name("N")
      ->capture_default_str();
  bench->add_option("--seconds", words.bench_seconds, "How long each row is measured")
      ->check(CLI::Range(0.1, 3600.0))
      ->type_name("S")
      ->capture_default_str();
  bench
      ->add_option("--size", words.bench.read_bytes,
                   "Of a large read, in bytes or as 16MiB, at most 1GiB; default: 64MiB")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/false).description(""))
      ->check(CLI::Range(uint64_t{1}, uint64_t{1} << 30))
      ->type_name("SIZE");

  CLI::App* probe = AddCommand(app, "probe", "Ask whether the server serves", kProbeExamples);
  probe->add_option("--service", words.probe.service, "Health name; \"\": the process as a whole")
      ->type_name("NAME")
      ->capture_default_str();

  CLI::App* check = AddCommand(app, "check", "Validate safetensors files", kCheckExamples);
  check->add_option("PATH", words.check.paths, "Files and directories")->required()->type_name("");
}

absl::Status Finish(const CLI::App& app, Words& words) {
  words.bench.has_tensor = app.get_subcommand("bench")->count("TENSOR") > 0;
  words.bench.duration = absl::Seconds(words.bench_seconds);
  words.show.has_tensor = app.get_subcommand("show")->count("TENSOR") > 0;
  for (const std::string& text : words.dtypes) {
    const std::optional<Dtype> dtype = ParseDtype(text);
    if (!dtype)
      return UsageError(
          absl::StrCat("--dtype ", Quote(text), ": wanted one as in safetensors, e.g. BF16"));
    words.ls.dtypes.push_back(*dtype);
  }
  for (const std::string& text : words.shards) {
    auto shard = ParseShardArgument(text);
    if (!shard.ok()) return UsageError(shard.status().message());
    words.peek.shards.push_back(*shard);
    words.get.shards.push_back(*shard);
  }
  if (words.timeout.empty()) return absl::OkStatus();
  absl::Duration& timeout = words.global.timeout;
  if (absl::ParseDuration(words.timeout, &timeout) && timeout > absl::ZeroDuration()) {
    return absl::OkStatus();
  }
  return UsageError(
      absl::StrCat("--timeout ", Quote(words.timeout), ": wanted a time, e.g. 500ms, 30s, 5m, 1h"));
}

// As CLI11 wants them. It takes a word "[a,b]" of a list apart: as a path it is "./[a,b]" too.
std::vector<std::string> ReversedWords(int argc, const char* const* argv) {
  std::vector<std::string> words;
  bool is_check = false;
  for (int i = 1; i < argc; ++i) {
    const absl::string_view word = argv[i];
    const bool is_list = absl::StartsWith(word, "[") && absl::EndsWith(word, "]");
    words.push_back(absl::StrCat(is_check && is_list ? "./" : "", word));
    is_check = is_check || word == "check";
  }
  std::reverse(words.begin(), words.end());
  return words;
}

CommandLine Chosen(const CLI::App& app, Words words) {
  const std::string name = app.get_subcommands().front()->get_name();
  CommandLine line{words.global, ShowText{}};
  if (name == "models") line.command = std::move(words.models);
  if (name == "ls") line.command = std::move(words.ls);
  if (name == "show") line.command = std::move(words.show);
  if (name == "peek") line.command = std::move(words.peek);
  if (name == "get") line.command = std::move(words.get);
  if (name == "pull") line.command = std::move(words.pull);
  if (name == "bench") line.command = std::move(words.bench);
  if (name == "probe") line.command = std::move(words.probe);
  if (name == "check") line.command = std::move(words.check);
  return line;
}

}  // namespace

absl::StatusOr<CommandLine> ParseCommandLine(int argc, const char* const* argv) {
  std::vector<std::string> reversed = ReversedWords(argc, argv);
  Words words;
  CLI::App app(kAbout, "tensorctl");
  app.footer(kFooter);
  app.require_subcommand(
      0, 1);          // None is refused below: CLI11 would not name a word that is no command.
  app.fallthrough();  // `tensorctl ls gpt2 --json` means what `tensorctl --json ls gpt2` does.
  app.get_formatter()->column_width(36);
  AddGlobals(app, words);
  AddListings(app, words);
  AddReads(app, words);
  AddFiles(app, words);
  try {
    app.parse(reversed);
  } catch (const CLI::CallForHelp&) {
    return CommandLine{words.global, ShowText{app.help()}};  // Of the command, where one is named.
  } catch (const CLI::CallForVersion& version) {
    return CommandLine{words.global, ShowText{absl::StrCat(version.what(), "\n")}};
  } catch (const CLI::ParseError& error) {
    return UsageError(absl::StrCat(Escape(error.what()), "; tensorctl --help tells what there is"));
  }
  if (app.get_subcommands().empty()) {
    return UsageError("no command given; tensorctl --help tells what there is");
  }
  TENSORD_RETURN_IF_ERROR(Finish(app, words));
  return Chosen(app, std::move(words));
}

}  // namespace tensord::ctl
