#include <dlfcn.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/frame_policy.h"
#include "server/wire_hooks.h"
#include "src/mutex.h"

namespace tensord {
namespace {

using Clock = FramePolicy::Clock;

// One TLS session that was accepted.
struct Session {
  explicit Session(std::shared_ptr<GuardContext> shared)
      : context(std::move(shared)), frames(context->limits, Clock::now()) {}

  const std::shared_ptr<GuardContext> context;
  FramePolicy frames;
  std::shared_ptr<WatchedConnection> connection;  // Null until it is found.
  bool closed = false;                            // Only its reader asks.
};

struct TlsGuard {
  Mutex mutex;
  std::shared_ptr<GuardContext> context ABSL_GUARDED_BY(mutex);
};

TlsGuard& Guard() {
  static auto* const guard = new TlsGuard;  // Never destroyed: threads of gRPC may outlive main.
  return *guard;
}

void FreeSession(void* /*parent*/, void* session, CRYPTO_EX_DATA* /*data*/, int /*index*/,
                 long /*argument*/, void* /*pointer*/) {
  delete static_cast<Session*>(session);
}

// Where OpenSSL keeps our Session of an SSL, and frees it.
int SessionIndex() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, &FreeSession);
  return index;
}

// Null for sessions that this process dialled, and where nothing is guarded.
Session* SessionOf(SSL* ssl) {
  if (!SSL_is_server(ssl)) return nullptr;
  if (void* const known = SSL_get_ex_data(ssl, SessionIndex())) return static_cast<Session*>(known);
  std::shared_ptr<GuardContext> context;
  {
    TlsGuard& guard = Guard();
    const MutexLock lock(guard.mutex);
    context = guard.context;
  }
  if (context == nullptr) return nullptr;
  auto* const session = new Session(std::move(context));
  if (SSL_set_ex_data(ssl, SessionIndex(), session) == 1) return session;
  delete session;
  return nullptr;
}

// Whose bytes this thread has handed to OpenSSL last, and not asked for yet. gRPC does the one
// right after the other.
std::shared_ptr<WatchedConnection>& Handed() {
  thread_local std::shared_ptr<WatchedConnection> handed;
  return handed;
}

// Whose bytes this thread has handed to OpenSSL last for a handshake, and not asked for yet.
std::shared_ptr<WatchedConnection>& Greeting() {
  thread_local std::shared_ptr<WatchedConnection> greeting;
  return greeting;
}

// Leaves OpenSSL's queue of errors as it is: gRPC looks into it next.
std::string HandshakeError(SSL* ssl) {
  const char* const reason = ERR_reason_error_string(ERR_peek_error());
  std::string error = reason == nullptr ? "no reason is known" : reason;
  const long verdict = SSL_get_verify_result(ssl);
  if (verdict == X509_V_OK) return error;
  return absl::StrCat(error, ": ", X509_verify_cert_error_string(verdict));
}

// gRPC chooses among what it speaks, or nothing.
bool SpeaksHttp2(SSL* ssl) {
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  return size > 0;
}

// `result`: SSL_do_handshake's, of a session that is ours to accept.
void NoteHandshake(SSL* ssl, int result, WatchedConnection& connection) {
  if (result == 1) {
    // gRPC closes it then.
    return SpeaksHttp2(ssl)
               ? connection.FinishedHandshake()
               : connection.FailedHandshake("the client does not offer HTTP/2 by ALPN");
  }
  const int error = SSL_get_error(ssl, result);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return;
  connection.FailedHandshake(HandshakeError(ssl));
}

void Find(Session& session, std::shared_ptr<WatchedConnection> source) {
  if (session.connection != nullptr || source == nullptr) return;
  source->FoundSession();
  session.frames.BelongsTo(source->facts().account);
  session.connection = std::move(source);
}

absl::Span<const uint8_t> Bytes(const void* data, size_t size) {
  return absl::MakeConstSpan(static_cast<const uint8_t*>(data), size);
}

// False when the session is to be closed. Lowers windows in `bytes` where the client wants that.
bool Allows(Session& session, absl::Span<uint8_t> bytes) {
  if (session.closed) return false;
  const std::optional<CloseReason> reason = session.frames.Received(bytes, Clock::now());
  if (session.frames.is_crowded() && session.context->crowded) session.context->crowded();
  if (!reason) return true;
  session.closed = true;
  session.context->counters.Closed(*reason);
  const std::string peer = session.connection == nullptr ? "" : session.connection->facts().peer;
  if (session.context->report) session.context->report(*reason, peer, "");
  return false;
}

}  // namespace

void WatchTls(std::shared_ptr<GuardContext> context) {
  TlsGuard& guard = Guard();
  const MutexLock lock(guard.mutex);
  guard.context = std::move(context);
}

}  // namespace tensord

extern "C" int BIO_write(BIO* bio, const void* data, int size) {
  static const auto real =
      reinterpret_cast<int (*)(BIO*, const void*, int)>(dlsym(RTLD_NEXT, "BIO_write"));
  tensord::Handed() = tensord::SourceOf(data);
  tensord::Greeting() = size > 0 ? tensord::SenderOf(data, static_cast<size_t>(size)) : nullptr;
  return real(bio, data, size);
}

extern "C" int SSL_do_handshake(SSL* ssl) {
  static const auto real = reinterpret_cast<int (*)(SSL*)>(dlsym(RTLD_NEXT, "SSL_do_handshake"));
  const std::shared_ptr<tensord::WatchedConnection> sender = std::move(tensord::Greeting());
  const int result = real(ssl);
  if (sender != nullptr && SSL_is_server(ssl)) tensord::NoteHandshake(ssl, result, *sender);
  return result;
}

extern "C" int SSL_read(SSL* ssl, void* buffer, int size) {
  std::shared_ptr<tensord::WatchedConnection> source = std::move(tensord::Handed());
  tensord::Greeting() = nullptr;  // The handshake is over.
  size_t received = 0;
  if (size < 0 || SSL_read_ex(ssl, buffer, static_cast<size_t>(size), &received) != 1) return -1;
  tensord::Session* const session = tensord::SessionOf(ssl);
  if (session != nullptr) tensord::Find(*session, std::move(source));
  if (session == nullptr || tensord::Allows(*session, {static_cast<uint8_t*>(buffer), received})) {
    return static_cast<int>(received);
  }
  // What SSL_get_error says of it is SSL_ERROR_SSL: gRPC closes the connection.
  ERR_raise(ERR_LIB_SSL, SSL_R_UNEXPECTED_MESSAGE);
  return -1;
}

extern "C" int SSL_write(SSL* ssl, const void* buffer, int size) {
  size_t sent = 0;
  if (size < 0 || SSL_write_ex(ssl, buffer, static_cast<size_t>(size), &sent) != 1) return -1;
  tensord::Session* const session = tensord::SessionOf(ssl);
  if (session != nullptr) session->frames.Sent(tensord::Bytes(buffer, sent), tensord::Clock::now());
  return static_cast<int>(sent);
}
