"""Whether a stream goes on while its client has not said what it has read: on a long way that decides the speed."""
import socket
import threading
from contextlib import suppress

import numpy as np
import stores

TENSOR_BYTES = 16 << 20
HELD_AFTER = 64 << 10  # As much of the answer passes before the client is not heard any more.
AHEAD_BYTES = 3 << 20  # At the least; gRPC's clients begin with 4 MiB.
QUIET_SECONDS = 3


class DeafServer:
    """A relay that keeps what the client says once the server has begun to answer, until nothing comes any more. `ahead`: what
    the server has sent by then."""

    def __init__(self, target):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self._target, self._hears, self.ahead = target, threading.Event(), 0
        self._hears.set()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        client, _ = self._listener.accept()
        host, port = self._target.rsplit(":", 1)
        server = socket.create_connection((host, int(port)))
        threading.Thread(target=self._forward_client, args=(client, server), daemon=True).start()
        server.settimeout(QUIET_SECONDS)
        passed, is_over = 0, False
        while True:
            try:
                data = server.recv(1 << 16)
            except TimeoutError:
                self.ahead, is_over = passed, True
                self._hears.set()
                server.settimeout(None)
                continue
            if not data:
                return
            with suppress(OSError):  # The client has what it wants.
                client.sendall(data)
            passed += len(data)
            if passed > HELD_AFTER and not is_over:
                self._hears.clear()

    def _forward_client(self, client, server):
        with suppress(OSError):
            while data := client.recv(1 << 16):
                self._hears.wait()
                server.sendall(data)


def test_a_stream_runs_ahead_of_its_reader(server, ctl, tmp_path):
    data = np.random.default_rng(7).bytes(TENSOR_BYTES)
    (tmp_path / "store").mkdir()
    stores.write_raw(tmp_path / "store" / "m.safetensors", {"w": ("U8", (TENSOR_BYTES,), data)})
    relay = DeafServer(server(tmp_path / "store").address)
    assert ctl(relay.address).bytes("get", "m", "w", "-o", "-") == data
    assert AHEAD_BYTES <= relay.ahead <= TENSOR_BYTES / 2 + (1 << 20)
