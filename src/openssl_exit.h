// What OpenSSL does when the process ends.
#pragma once

namespace tensord {

// Lets OpenSSL's tables outlive the process's exit handlers: gRPC's threads, which nobody joins,
// may still be shaking hands when main() has returned, and crashed there now and then. Has an
// effect only if nothing in the process has used OpenSSL yet; may be called any number of times,
// from any thread.
void KeepOpenSslAtExit();

}  // namespace tensord
