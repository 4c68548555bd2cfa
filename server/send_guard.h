// Keeps a connection alive when mapped bytes that wait to be sent get lost.
#pragma once

namespace tensord {

// Where the system cannot read the memory that it is to send, sendmsg fails with EFAULT, and gRPC
// closes the connection with all of its streams. That happens when a file is truncated while its
// mapped bytes wait for the socket, for however long a reader is slow. From now on such a call is
// repeated after the lost pages have become zeros (see InstallFaultGuard); the file's mapping is
// poisoned then, and its own streams do not end OK. Once is enough; further calls do nothing.
//
// This works because the program's own `sendmsg` stands before the C library's for gRPC too. A test
// holds it to that.
void InstallSendGuard();

}  // namespace tensord
