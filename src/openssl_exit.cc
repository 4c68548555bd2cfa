#include "src/openssl_exit.h"

#include <openssl/crypto.h>

namespace tensord {

void KeepOpenSslAtExit() { OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, nullptr); }

}  // namespace tensord
