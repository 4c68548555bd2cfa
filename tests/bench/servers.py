"""Starts and ends the servers that the benchmark measures. Each says where it listens in a line on stderr."""
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

START_TIMEOUT_S = 60
# What tensord sets on its own sockets; every yardstick gets the same. TCP keeps the system's buffers and congestion
# control.
UNIX_SEND_BUFFER = 1 << 20


class Server:
    """A running process; `addresses` as it announced them, `pids` are those whose CPU and memory count."""

    def __init__(self, command, num_addresses=1, log=None):
        self.log = open(log, "w+")
        self.process = subprocess.Popen([str(part) for part in command], stderr=self.log, stdout=subprocess.DEVNULL)
        self.pids = [self.process.pid]
        self.addresses = []
        deadline = time.monotonic() + START_TIMEOUT_S
        while len(self.addresses) < num_addresses:
            text = Path(self.log.name).read_text()
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{command[0]} does not start:\n{text[-2000:]}")
            self.addresses = re.findall(r"listening address=([^\s\"]+)", text)
            time.sleep(0.01)

    def address(self, kind):
        """The one of this kind: "unix" or "tcp"."""
        return next(a for a in self.addresses if (a.startswith("unix") or "+unix" in a) == (kind == "unix"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def free_ports(count):
    """For nginx, which cannot listen on port 0."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Nginx:
    """nginx with a configuration of its own: sendfile, keep-alive, one worker a core. Which ciphers its TLS has is left to
    OpenSSL, as tensord leaves it."""

    def __init__(self, directory, root, certificate, key):
        self.directory = directory
        directory.mkdir()
        self.unix_socket, (self.port, self.tls_port) = directory / "socket", free_ports(2)
        configuration = directory / "nginx.conf"
        temporary = "\n".join(f"  {kind}_temp_path {directory}/{kind};"
                              for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        configuration.write_text(f"""
daemon off;
{'user root;' if os.getuid() == 0 else ''}
worker_processes auto;
pid {directory}/pid;
error_log {directory}/error.log;
events {{ worker_connections 1024; }}
http {{
{temporary}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  server {{
    listen unix:{self.unix_socket} sndbuf={UNIX_SEND_BUFFER};
    listen 127.0.0.1:{self.port};
    listen 127.0.0.1:{self.tls_port} ssl;
    ssl_protocols TLSv1.3;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    root {root};
  }}
}}
""")
        binary = shutil.which("nginx") or "/usr/sbin/nginx"
        self.process = subprocess.Popen([binary, "-p", str(directory), "-c", str(configuration)],
                                        stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + START_TIMEOUT_S
        while not (self.unix_socket.exists() and self._workers()):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"nginx does not start: {(directory / 'error.log').read_text()}")
            time.sleep(0.01)
        self.pids = self._workers()

    def _workers(self):
        pid = self.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def stop(self):
        self.process.terminate()
        self.process.wait()
