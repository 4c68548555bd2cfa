#include "server/log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <memory>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/log_sink.h"
#include "server/repeat_filter.h"
#include "src/escape.h"

namespace tensord {
namespace {

// `text` as a JSON string. Escape has left valid UTF-8 without control characters.
std::string JsonString(absl::string_view text) {
  std::string json = "\"";
  for (const char c : Escape(text)) {
    if (c == '"' || c == '\\') json.push_back('\\');
    json.push_back(c);
  }
  json.push_back('"');
  return json;
}

// `text` bare where that can be read back, else quoted.
std::string TextValue(absl::string_view text) {
  std::string escaped = Escape(text);
  const bool is_plain = !escaped.empty() && !absl::StrContains(escaped, ' ') &&
                        !absl::StrContains(escaped, '"') && !absl::StrContains(escaped, '=');
  return is_plain ? escaped : JsonString(text);
}

// What `value` is as JSON, or as text with `text_value`.
std::string ValueText(const LogField& field, std::string (*text_value)(absl::string_view)) {
  if (const auto* number = std::get_if<uint64_t>(&field.value)) return absl::StrCat(*number);
  if (const auto* number = std::get_if<double>(&field.value)) {
    return absl::StrFormat("%.3f", *number);
  }
  return text_value(std::get<std::string>(field.value));
}

std::string JsonFields(absl::string_view level, absl::string_view message,
                       absl::Span<const LogField> fields) {
  std::string line = absl::StrCat("\"level\":\"", level, "\",\"msg\":", JsonString(message));
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",\"", field.name, "\":", ValueText(field, &JsonString));
  }
  return line;
}

std::string TextFields(absl::string_view message, absl::Span<const LogField> fields) {
  std::string line(message);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.name, "=", ValueText(field, &TextValue));
  }
  return line;
}

// Whether lines are JSON. The logger itself knows: its name is the format.
constexpr char kJsonLogger[] = "json";

// As long-lived as the logger, which is the process's.
RepeatFilter& Repeats() {
  static RepeatFilter filter;
  return filter;
}

// Past the logger's level, which has been looked at.
void Write(const spdlog::logger& logger, spdlog::level::level_enum level, const std::string& line) {
  const spdlog::details::log_msg message(logger.name(), level, line);
  for (const spdlog::sink_ptr& sink : logger.sinks()) sink->log(message);
}

// `is_contract`: whatever the level is.
void Log(spdlog::level::level_enum level, absl::string_view level_name, absl::string_view message,
         absl::Span<const LogField> fields, bool is_contract = false) {
  const spdlog::logger* const logger = spdlog::default_logger_raw();
  if (!is_contract && !logger->should_log(level)) return;
  const bool is_json = logger->name() == kJsonLogger;
  std::string line =
      is_json ? JsonFields(level_name, message, fields) : TextFields(message, fields);
  const auto held_back =
      Repeats().Admit(absl::HashOf(absl::string_view(line)), RepeatFilter::Clock::now());
  if (!held_back) return;
  if (*held_back > 0) {
    absl::StrAppend(&line, is_json ? ",\"suppressed\":" : " suppressed=", *held_back);
  }
  if (!is_json) return Write(*logger, level, line);
  const std::string now =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  Write(*logger, level, absl::StrCat("{\"ts\":\"", now, "\",", line, "}"));
}

// What the libraries have to say is caused by clients as a rule, so it is for debugging only.
void LogOfGrpc(gpr_log_func_args* args) {
  Log(spdlog::level::debug, "debug", "grpc", {{"error", std::string(args->message)}});
}
void LogOfProtobuf(google::protobuf::LogLevel, const char*, int, const std::string& message) {
  Log(spdlog::level::debug, "debug", "protobuf", {{"error", message}});
}

}  // namespace

void StartLog(LogFormat format, const std::string& level) {
  const bool is_json = format == LogFormat::kJson;
  auto logger = std::make_shared<spdlog::logger>(is_json ? kJsonLogger : "text",
                                                 std::make_shared<LogSink>(STDERR_FILENO));
  logger->set_pattern(is_json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %L %v");
  logger->set_level(spdlog::level::from_str(level));
  spdlog::set_default_logger(std::move(logger));
  // Below errors gRPC says nothing unless it is asked to.
  if (level == "debug") gpr_set_log_verbosity(GPR_LOG_SEVERITY_DEBUG);
  gpr_set_log_function(&LogOfGrpc);
  google::protobuf::SetLogHandler(&LogOfProtobuf);
}

void LogInfo(absl::string_view message, absl::Span<const LogField> fields) {
  Log(spdlog::level::info, "info", message, fields);
}

void LogWarning(absl::string_view message, absl::Span<const LogField> fields) {
  Log(spdlog::level::warn, "warn", message, fields);
}

void LogError(absl::string_view message, absl::Span<const LogField> fields) {
  Log(spdlog::level::err, "error", message, fields);
}

uint64_t NumLostLogLines() {
  const auto* const sink =
      dynamic_cast<const LogSink*>(spdlog::default_logger_raw()->sinks().front().get());
  return sink == nullptr ? 0 : sink->num_lost();
}

void LogListening(const std::string& address) {
  const bool is_json = spdlog::default_logger_raw()->name() == kJsonLogger;
  const std::string message =
      is_json ? absl::StrCat("listening address=", address) : std::string("listening");
  Log(spdlog::level::info, "info", message, {{"address", address}}, /*is_contract=*/true);
}

}  // namespace tensord
