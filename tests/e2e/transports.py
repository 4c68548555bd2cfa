"""The ways to reach a server: TCP, a Unix socket, TLS."""
import shutil
import tempfile

import grpc

from certificates import Authority
from reading import CHANNEL_OPTIONS

TRANSPORTS = ("tcp", "unix", "tls")


class Transport:
    """`flags` make a server listen so; `channel` reaches it, over a connection of its own."""

    def __init__(self, kind):
        self._directory = tempfile.mkdtemp(prefix="tensord-")  # Short, as a socket's path must be.
        self._authority = Authority(self._directory) if kind == "tls" else None
        self.flags = []
        if kind == "unix":
            self.flags = ["--listen", f"unix:{self._directory}/socket"]
        elif kind == "tls":
            certificate, key = self._authority.server(self._directory)
            self.flags = ["--tls-cert", certificate, "--tls-key", key]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self._directory)

    def channel(self, server):
        if self._authority is None:
            return grpc.insecure_channel(server.address, CHANNEL_OPTIONS)
        credentials = grpc.ssl_channel_credentials(self._authority.ca.read_bytes())
        return grpc.secure_channel(server.address, credentials, CHANNEL_OPTIONS)
