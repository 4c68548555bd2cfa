// Puts the guard between gRPC and its sockets.
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "server/watched_connection.h"

namespace tensord {

// gRPC has no place where a program could look at what a connection brings in before it is parsed,
// and 1.51 survives little of what can be in there. But the program's own `recvmsg`, `sendmsg`,
// `SSL_read` and `SSL_write` stand before the libraries' for gRPC too. They pass everything on, and
// show it to the guard; where the guard objects, gRPC sees a connection that has broken, with not
// one byte of what broke it. There is one of each per process, and hence one table of sockets.
//
// All of this is thread-safe.

// From now on the guard sees what passes over `fd`. A descriptor's number is used again sooner or
// later: only the socket with the connection's cookie is meant.
void WatchSocket(int fd, std::shared_ptr<WatchedConnection> connection);

// No longer. Does nothing when the number belongs to a newer socket by now.
void UnwatchSocket(int fd, uint64_t cookie);

// Who is at the other end of a socket that is watched, as PeerOf; "" for any other.
std::string PeerOfSocket(int fd);

// The encrypted connection in whose bytes, the last that this thread has received, `data` lies;
// else null. It is asked until the connection's session is known.
std::shared_ptr<WatchedConnection> SourceOf(const void* data);

// The encrypted connection that has brought in what `data` begins with, if it is the last that this
// thread has received; else null. For handshakes, whose bytes gRPC copies. A guess, good enough to
// tell whose handshake has failed.
std::shared_ptr<WatchedConnection> SenderOf(const void* data, size_t size);

// `num_bytes` of the message have been written to `fd`: what our sendmsg calls. Keeps errno.
void NoteSent(int fd, const msghdr& message, size_t num_bytes);

// Judges the frames in TLS connections that this process accepts, by the limits of `context`. A TLS
// session does not know its socket; we learn it when gRPC hands on what the socket has brought in.
void WatchTls(std::shared_ptr<GuardContext> context);

}  // namespace tensord
