#include "server/exposure.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"

namespace tensord {
namespace {

using testing::HasSubstr;

struct Row {
  const char* name;
  std::vector<std::string> listen;
  bool tls;
  bool tokens;
  bool client_ca;
  bool insecure;
  bool is_safe;
};

class Exposure : public testing::TestWithParam<Row> {
 protected:
  static ServerOptions Options() {
    const Row& row = GetParam();
    ServerOptions options;
    options.listen = row.listen;
    options.insecure_allow_remote = row.insecure;
    if (row.tls) options.credentials.tls = {"tls.crt", "tls.key", row.client_ca ? "ca.crt" : ""};
    if (row.tokens) options.credentials.token_file = "tokens";
    return options;
  }
};

TEST_P(Exposure, StrangersNeedTlsAndCredentials) {
  const Row& row = GetParam();
  const absl::Status status = CheckExposure(Options());
  EXPECT_EQ(status.ok(), row.is_safe) << status;
  if (status.ok()) return;
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string message(status.message());
  EXPECT_THAT(message, HasSubstr(row.listen.back()));
  EXPECT_EQ(absl::StrContains(message, "--tls-cert"), !row.tls) << message;
  const bool authenticates = row.tokens || row.client_ca;
  EXPECT_EQ(absl::StrContains(message, "--auth-token-file"), !authenticates) << message;
}

INSTANTIATE_TEST_SUITE_P(
    , Exposure,
    testing::Values(
        Row{"Loopback", {"127.0.0.1:0"}, false, false, false, false, true},
        Row{"LoopbackOfIpv6", {"[::1]:0"}, false, false, false, false, true},
        Row{"LoopbackNetwork", {"127.9.9.9:0"}, false, false, false, false, true},
        Row{"UnixSocket", {"unix:/tmp/x"}, false, false, false, false, true},
        Row{"Any", {"0.0.0.0:0"}, false, false, false, false, false},
        Row{"AnyOfIpv6", {"[::]:0"}, false, false, false, false, false},
        Row{"MappedAddress", {"[::ffff:10.0.0.1]:0"}, false, false, false, false, false},
        Row{"OneOfTwo", {"127.0.0.1:0", "10.0.0.1:0"}, false, false, false, false, false},
        Row{"TlsAlone", {"0.0.0.0:0"}, true, false, false, false, false},
        Row{"TokensAlone", {"0.0.0.0:0"}, false, true, false, false, false},
        Row{"TlsAndTokens", {"0.0.0.0:0"}, true, true, false, false, true},
        Row{"TlsAndCertificates", {"0.0.0.0:0"}, true, false, true, false, true},
        Row{"Told", {"0.0.0.0:0"}, false, false, false, true, true}),
    [](const auto& row) { return row.param.name; });

TEST(ExposureErrors, AnAddressThatCannotBeReadIsRefused) {
  ServerOptions options;
  options.listen = {"no-port"};
  EXPECT_EQ(CheckExposure(options).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tensord
