#include "server/credential_log.h"

#include <string>

#include "server/log.h"

namespace tensord {

void LogCredentials(const CredentialReport& report) {
  const bool is_tls = report.kind == CredentialReport::Kind::kCertificate;
  const std::string kind = is_tls ? "certificate" : "tokens";
  if (!report.status.ok()) {
    LogError("new credentials are refused, the former stay in force",
             {{"kind", kind}, {"error", std::string(report.status.message())}});
    return;
  }
  if (!report.is_first) LogInfo("credentials are replaced", {{"kind", kind}});
  if (report.others_can_read) {
    LogWarning(
        "other users can read a file with secrets: its mode should be 0400 or 0600, or 0440 "
        "where tensord reads it by its group",
        {{"flag", std::string(is_tls ? "--tls-key" : "--auth-token-file")}});
  }
}

}  // namespace tensord
