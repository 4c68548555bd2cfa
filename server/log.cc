#include "server/log.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
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

std::string JsonLine(absl::string_view level, absl::string_view message,
                     std::initializer_list<LogField> fields) {
  const std::string now =
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone());
  std::string line =
      absl::StrCat("{\"ts\":\"", now, "\",\"level\":\"", level, "\",\"msg\":", JsonString(message));
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",\"", field.name, "\":");
    if (const auto* number = std::get_if<uint64_t>(&field.value)) {
      absl::StrAppend(&line, *number);
    } else {
      absl::StrAppend(&line, JsonString(std::get<std::string>(field.value)));
    }
  }
  return absl::StrCat(line, "}");
}

std::string TextLine(absl::string_view message, std::initializer_list<LogField> fields) {
  std::string line(message);
  for (const LogField& field : fields) {
    absl::StrAppend(&line, " ", field.name, "=");
    if (const auto* number = std::get_if<uint64_t>(&field.value)) {
      absl::StrAppend(&line, *number);
    } else {
      absl::StrAppend(&line, TextValue(std::get<std::string>(field.value)));
    }
  }
  return line;
}

// Whether lines are JSON. The logger itself knows: its name is the format.
constexpr char kJsonLogger[] = "json";

void Log(spdlog::level::level_enum level, absl::string_view level_name, absl::string_view message,
         std::initializer_list<LogField> fields) {
  spdlog::logger* const logger = spdlog::default_logger_raw();
  if (!logger->should_log(level)) return;
  const bool is_json = logger->name() == kJsonLogger;
  logger->log(level, is_json ? JsonLine(level_name, message, fields) : TextLine(message, fields));
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
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_pattern(is_json ? "%v" : "%Y-%m-%d %H:%M:%S.%e %L %v");
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
  gpr_set_log_function(&LogOfGrpc);
  google::protobuf::SetLogHandler(&LogOfProtobuf);
}

void LogInfo(absl::string_view message, std::initializer_list<LogField> fields) {
  Log(spdlog::level::info, "info", message, fields);
}

void LogWarning(absl::string_view message, std::initializer_list<LogField> fields) {
  Log(spdlog::level::warn, "warn", message, fields);
}

void LogError(absl::string_view message, std::initializer_list<LogField> fields) {
  Log(spdlog::level::err, "error", message, fields);
}

void LogListening(const std::string& address) {
  const bool is_json = spdlog::default_logger_raw()->name() == kJsonLogger;
  if (is_json) {
    LogInfo(absl::StrCat("listening address=", address), {{"address", address}});
  } else {
    LogInfo("listening", {{"address", address}});
  }
}

}  // namespace tensord
