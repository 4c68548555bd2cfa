"""A TCP proxy that mistreats what passes: cuts, delays, half-closes and stalls connections."""
import random
import socket
import struct
import threading
import time

PIECE_BYTES = 16 << 10


class Treatment:
    """What happens to one connection, once `after` bytes of the server's have passed (None: nothing ever).

    kind: "cut" (reset both sides), "half-close" (the client sees the end of the server's bytes, its own go on),
    "half-close back" (the server sees the end of the client's), "stall" (no byte passes any more).
    `delay`: seconds that every piece of the server's waits.
    """

    def __init__(self, kind="", after=None, delay=0.0):
        self.kind, self.after, self.delay = kind, after, delay


class ByteProxy:
    """Listens on a free port of the loopback; `address` is a gRPC target. `treat()` is asked for each connection's Treatment.
    `target` may be set anew, for connections that come after. `carried`: the server's bytes that went through. Ends with
    `close`."""

    def __init__(self, target, treat):
        self.target, self._treat = target, treat
        self._open = set()
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.connections = self.carried = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._listener.close()
        with self._lock:
            sockets, self._open = self._open, set()
        for each in sockets:
            _reset(each)

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError:
                return
            try:
                host, port = self.target.rsplit(":", 1)
                server = socket.create_connection((host, int(port)), timeout=10)
                server.settimeout(None)
            except OSError:
                _reset(client)
                continue
            self.connections += 1
            with self._lock:
                self._open |= {client, server}
            treatment = self._treat()
            threading.Thread(target=self._forward, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, treatment), daemon=True).start()

    def _forward(self, source, sink, treatment):
        passed = 0
        try:
            while data := source.recv(PIECE_BYTES):
                if treatment and treatment.delay:
                    time.sleep(treatment.delay)
                if treatment and treatment.after is not None and passed + len(data) > treatment.after:
                    cut = treatment.after - passed
                    sink.sendall(data[:cut])
                    self._mistreat(treatment.kind, source, sink, data[cut:])
                    return
                passed += len(data)
                sink.sendall(data)
                if treatment:
                    with self._lock:
                        self.carried += len(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # One side is gone, or the other direction closed both.
            _reset(source)
            _reset(sink)

    def _mistreat(self, kind, server, client, rest):
        if kind == "stall":
            return  # Nobody reads any more; `close` ends it.
        if kind == "half-close":
            client.shutdown(socket.SHUT_WR)
            return
        if kind == "half-close back":
            server.shutdown(socket.SHUT_WR)
            client.sendall(rest)  # The server's bytes go on without a gap.
            while data := server.recv(PIECE_BYTES):
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            return
        assert kind == "cut", kind
        with self._lock:
            self._open -= {server, client}
        _reset(server)
        _reset(client)


def _reset(connection):
    """Closes so that the peer sees a reset, and a thread that waits in recv wakes."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def any_treatment(seed, size_bytes):
    """A generator's worth of treatments, one a call, of connections that carry `size_bytes`."""
    chance = random.Random(seed)

    def treat():
        kind = chance.choice(["cut", "cut", "half-close", "half-close back", ""])
        return Treatment(kind, chance.randrange(size_bytes) if kind else None, chance.choice([0, 0, 0.0005]))

    return treat
