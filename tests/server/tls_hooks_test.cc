// What the guard sees within TLS: two ends of a session over memory, as gRPC holds them.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>  // For the macro EVP_EC_gen.
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/socket_facts.h"
#include "server/wire_hooks.h"
#include "src/owned_fd.h"

namespace tensord {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* object) const {
    Free(object);
  }
};
template <typename T, auto Free>
using Owned = std::unique_ptr<T, Deleter<Free>>;
using Context = Owned<SSL_CTX, &SSL_CTX_free>;
using Session = Owned<SSL, &SSL_free>;
using Clock = WatchedConnection::Clock;

const std::string kHello = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const std::string kReset = std::string("\0\0\4\3\0\0\0\0\1\0\0\0\10", 13);

// A server's context with a certificate that it signed itself.
Context ServerContext() {
  Context context(SSL_CTX_new(TLS_server_method()));
  const Owned<EVP_PKEY, &EVP_PKEY_free> key(EVP_EC_gen("P-256"));
  const Owned<X509, &X509_free> certificate(X509_new());
  X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
  X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
  X509_set_pubkey(certificate.get(), key.get());
  X509_sign(certificate.get(), key.get(), EVP_sha256());
  EXPECT_EQ(SSL_CTX_use_certificate(context.get(), certificate.get()), 1);
  EXPECT_EQ(SSL_CTX_use_PrivateKey(context.get(), key.get()), 1);
  return context;
}

class TlsHooks : public testing::Test {
 protected:
  TlsHooks() : server_(SSL_new(server_context_.get())), client_(SSL_new(client_context_.get())) {
    WatchTls(guard_);
    BIO* server_end = nullptr;
    BIO* client_end = nullptr;
    EXPECT_EQ(BIO_new_bio_pair(&server_end, kPairBytes, &client_end, kPairBytes), 1);
    SSL_set_bio(server_.get(), server_end, server_end);
    SSL_set_bio(client_.get(), client_end, client_end);
    SSL_set_accept_state(server_.get());
    SSL_set_connect_state(client_.get());
    for (int i = 0; i < 10; ++i) {
      SSL_do_handshake(client_.get());
      SSL_do_handshake(server_.get());
    }
    EXPECT_EQ(SSL_is_init_finished(server_.get()), 1);
  }
  ~TlsHooks() override { WatchTls(nullptr); }

  // What the server reads of it, or the result of SSL_get_error, negative.
  int Pass(const std::string& text) {
    EXPECT_EQ(SSL_write(client_.get(), text.data(), static_cast<int>(text.size())), text.size());
    std::string buffer(kPairBytes, '\0');
    const int read = SSL_read(server_.get(), buffer.data(), static_cast<int>(buffer.size()));
    return read > 0 ? read : -SSL_get_error(server_.get(), read);
  }

  static constexpr int kPairBytes = 1 << 17;
  const std::shared_ptr<GuardContext> guard_ = std::make_shared<GuardContext>();
  const Context server_context_ = ServerContext();
  const Context client_context_{SSL_CTX_new(TLS_client_method())};
  const Session server_;
  const Session client_;
};

TEST_F(TlsHooks, HonestBytesPass) {
  EXPECT_EQ(Pass(kHello), kHello.size());
  EXPECT_EQ(Pass(kReset), kReset.size());
}

TEST_F(TlsHooks, NothingToReadIsNoError) {
  char byte;
  const int read = SSL_read(server_.get(), &byte, 1);
  EXPECT_EQ(SSL_get_error(server_.get(), read), SSL_ERROR_WANT_READ);
}

TEST_F(TlsHooks, TooManyCancelsEndTheSession) {
  EXPECT_EQ(Pass(kHello), kHello.size());
  // As many as may come at once, in records of 16 KiB at most; then the bucket holds what refilled.
  std::string burst;
  for (int i = 0; i < guard_->limits.cancels_burst; ++i) burst += kReset;
  EXPECT_EQ(Pass(burst), burst.size());
  EXPECT_EQ(Pass(burst), -SSL_ERROR_SSL);
  EXPECT_EQ(guard_->counters.closed(CloseReason::kCancels), 1);
  EXPECT_EQ(Pass(kReset), -SSL_ERROR_SSL) << "for ever";
}

TEST_F(TlsHooks, ASessionIsFoundByTheBytesThatItsSocketBroughtIn) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  const OwnedFd near(ends[0]), far(ends[1]);
  WatchedConnection::Facts facts{"somebody", false, true, SocketCookie(near.get()),
                                 std::make_shared<PeerAccount>(guard_->limits, Clock::now())};
  const auto connection =
      std::make_shared<WatchedConnection>(guard_, std::move(facts), Clock::now());
  WatchSocket(near.get(), connection);
  std::string peer;
  guard_->report = [&](CloseReason /*reason*/, const std::string& of,
                       const std::string& /*error*/) { peer = of; };
  // The client's records go through the socket and then into the server's session.
  SSL_set_bio(client_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_bio(server_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  std::string text = kHello;
  for (int i = 0; i <= 2 * guard_->limits.cancels_burst; ++i) text += kReset;
  for (size_t at = 0; at < text.size(); at += 1000) {
    const int piece = static_cast<int>(std::min<size_t>(1000, text.size() - at));
    ASSERT_EQ(SSL_write(client_.get(), text.data() + at, piece), piece);
    char* records = nullptr;
    const long size = BIO_get_mem_data(SSL_get_wbio(client_.get()), &records);
    ASSERT_EQ(send(far.get(), records, static_cast<size_t>(size), 0), size);
    ASSERT_EQ(BIO_reset(SSL_get_wbio(client_.get())), 1);
    char buffer[2000];
    iovec into{buffer, sizeof(buffer)};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    ASSERT_EQ(recvmsg(near.get(), &message, 0), size);
    SSL_read(server_.get(), buffer, 0);
    BIO_write(SSL_get_rbio(server_.get()), buffer, static_cast<int>(size));
    char read[2000];
    SSL_read(server_.get(), read, sizeof(read));
  }
  UnwatchSocket(near.get(), connection->facts().cookie);
  EXPECT_TRUE(connection->has_session());
  EXPECT_EQ(peer, "somebody");
}

// A connection that has not shaken hands yet, and what is reported of it.
class Handshakes : public TlsHooks {
 protected:
  Handshakes() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    near_ = OwnedFd(ends[0]);
    far_ = OwnedFd(ends[1]);
    WatchedConnection::Facts facts{"somebody", false, true, SocketCookie(near_.get()), nullptr};
    connection_ = std::make_shared<WatchedConnection>(guard_, std::move(facts), Clock::now());
    WatchSocket(near_.get(), connection_);
    guard_->report = [this](CloseReason reason, const std::string& peer, const std::string& error) {
      reports_.push_back(std::string(kCloseReasons[static_cast<size_t>(reason)]) + " " + peer +
                         ": " + error);
    };
  }
  ~Handshakes() override { UnwatchSocket(near_.get(), connection_->facts().cookie); }

  // What the server's end has received of `text`, somewhere else by now, as gRPC copies it.
  std::string Receive(const std::string& text) {
    EXPECT_EQ(send(far_.get(), text.data(), text.size(), 0), text.size());
    char buffer[1000];
    iovec into{buffer, sizeof(buffer)};
    msghdr message{};
    message.msg_iov = &into;
    message.msg_iovlen = 1;
    const ssize_t size = recvmsg(near_.get(), &message, 0);
    return std::string(buffer, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  }

  OwnedFd near_, far_;
  std::shared_ptr<WatchedConnection> connection_;
  std::vector<std::string> reports_;
};

TEST_F(Handshakes, AFailureIsToldOnceWithItsSenderAndReason) {
  const Session session(SSL_new(server_context_.get()));
  SSL_set_bio(session.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
  SSL_set_accept_state(session.get());
  const std::string text = Receive("GET / HTTP/1.1\r\n\r\n");
  BIO_write(SSL_get_rbio(session.get()), text.data(), static_cast<int>(text.size()));
  const int result = SSL_do_handshake(session.get());
  EXPECT_EQ(SSL_get_error(session.get(), result), SSL_ERROR_SSL) << "the errors are still there";
  connection_->Gone();
  EXPECT_EQ(reports_, std::vector<std::string>{"handshake somebody: http request"});
  EXPECT_EQ(guard_->counters.closed(CloseReason::kHandshake), 1);
}

TEST_F(Handshakes, WhoGoesInTheMiddleHasFailed) {
  Receive("\x16");
  connection_->Gone();
  ASSERT_EQ(reports_.size(), 1u);
  EXPECT_NE(reports_[0].find("ended before"), std::string::npos) << reports_[0];
}

TEST_F(Handshakes, WhoHasSaidNothingOrFinishedHasNot) {
  connection_->Gone();
  Receive("\x16");
  connection_->FinishedHandshake();
  connection_->Gone();
  EXPECT_TRUE(reports_.empty()) << reports_[0];
}

TEST_F(TlsHooks, WhatAClientReadsIsNotJudged) {
  const std::string text(1000, 'x');
  EXPECT_EQ(SSL_write(server_.get(), text.data(), 1000), 1000);
  std::string buffer(2000, '\0');
  EXPECT_EQ(SSL_read(client_.get(), buffer.data(), 2000), 1000);
}

}  // namespace
}  // namespace tensord
