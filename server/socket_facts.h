// What the kernel knows of a connected socket.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <string>

namespace tensord {

// Never used twice, unlike a descriptor's number; 0 where `fd` is no socket.
uint64_t SocketCookie(int fd);

// Bytes that the peer's system has taken over from us since the connection began. `sent_bytes`: how
// many were given to the socket, which is what a Unix socket is measured by.
uint64_t AcknowledgedBytes(int fd, bool is_unix, uint64_t sent_bytes);

// Who is at the other end, as far as limits go: "uid:1000" for a Unix socket, "127.0.0.1" or an
// IPv6 network of 64 bits, because one host has as many addresses there as it likes.
std::string PeerOf(int fd, const sockaddr_storage& address);

// What logs say of a call's peer, which gRPC names `grpc_peer`: "uid:1000" for one on a Unix
// socket, whose name "fd:21" would tell nobody anything; others as they are. To be asked while the
// connection lives.
std::string PeerInLog(const std::string& grpc_peer);

}  // namespace tensord
