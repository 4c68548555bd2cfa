// What the log says of certificates and tokens.
#pragma once

#include "server/credentials.h"

namespace tensord {

// A Credentials::OnReport. Thread-safe.
void LogCredentials(const CredentialReport& report);

}  // namespace tensord
