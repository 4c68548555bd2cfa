// Certificates for tests, made in memory.
#pragma once

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace tensord {

// PEM, of a key of its own.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

// Signed by itself, for `name`, valid from `begin` to `end`.
TestCertificate MakeTestCertificate(const std::string& name,
                                    absl::Time begin = absl::Now() - absl::Hours(1),
                                    absl::Time end = absl::Now() + absl::Hours(1));

// The key again, encrypted with a password.
std::string Encrypted(const std::string& key);

}  // namespace tensord
