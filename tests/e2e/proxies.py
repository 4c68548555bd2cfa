"""Reverse proxies that speak gRPC over plaintext HTTP/2, in front of a server: nginx's grpc_pass, and haproxy."""
import os
import shutil
import socket
import subprocess
import time

START_SECONDS = 60
ATTEMPTS = 5  # Neither can listen on port 0, and a port that is free now may be taken in a moment.
SECONDS = 300  # What a proxy waits for either side: far above what a test takes.


def _nginx(directory, port, target):
    temporary = "\n".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = directory / "nginx.conf"
    configuration.write_text(f"""
daemon off;
{'user root;' if os.getuid() == 0 else ''}
worker_processes 1;
pid {directory}/pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
{temporary}
  access_log off;
  keepalive_timeout {SECONDS};
  send_timeout {SECONDS};
  upstream tensord {{
    server {target};
    keepalive 128;
  }}
  server {{
    listen 127.0.0.1:{port} http2;
    location / {{
      grpc_pass grpc://tensord;
      grpc_read_timeout {SECONDS};
      grpc_send_timeout {SECONDS};
    }}
  }}
}}
""")
    return [shutil.which("nginx") or "/usr/sbin/nginx", "-p", directory, "-e", "stderr", "-c", configuration]


def _haproxy(directory, port, target):
    configuration = directory / "haproxy.cfg"
    configuration.write_text(f"""
global
  maxconn 1000
  tune.h2.max-concurrent-streams 128
defaults
  mode http
  timeout connect {SECONDS}s
  timeout client {SECONDS}s
  timeout server {SECONDS}s
frontend clients
  bind 127.0.0.1:{port} proto h2
  default_backend tensord
backend tensord
  server tensord {target} proto h2
""")
    return [shutil.which("haproxy") or "/usr/sbin/haproxy", "-db", "-f", configuration]


KINDS = {"nginx": _nginx, "haproxy": _haproxy}


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return probe.getsockname()[1]


def _answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


class ReverseProxy:
    """One that passes calls on to `target`, HOST:PORT. `address` is what clients connect to."""

    def __init__(self, kind, directory, target):
        self._directory = directory
        directory.mkdir()
        for _ in range(ATTEMPTS):
            port = _free_port()
            if self._start(KINDS[kind](directory, port, target), port):
                self.address = f"127.0.0.1:{port}"
                return
        raise RuntimeError(f"{kind} does not start:\n{self.log}")

    def _start(self, arguments, port):
        """Whether it listens."""
        with open(self._directory / "log", "w") as log:
            self._process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + START_SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            if _answers(port):
                return self._process.poll() is None
            time.sleep(0.02)
        self.close()
        return False

    @property
    def log(self):
        return (self._directory / "log").read_text()

    def close(self):
        self._process.terminate()
        self._process.wait(START_SECONDS)
