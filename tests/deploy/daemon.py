"""A tensord of this side, for tests of what asks it from outside."""
import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path

from commands import DEPLOY, ROOT

BIN = Path(os.environ.get("TENSORD_BIN", ROOT / "build" / "release" / "bin"))
LIMIT_SECONDS = 60  # Far above what anything takes, so that only a hung one meets it.


def make_sample_store(directory):
    subprocess.run([sys.executable, DEPLOY / "make_sample_store.py", directory], check=True, stdout=subprocess.DEVNULL)
    return directory


class Daemon:
    """Serves `store` on a free port until `stop`; `address` and `http` are where, `log` the objects that it wrote."""

    def __init__(self, store, *flags):
        self.process = subprocess.Popen([BIN / "tensord", "--store", store, "--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0",
                                         "--log-format", "json", *map(str, flags)], stdin=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.log, self.address, self._known = [], None, threading.Event()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        assert self._known.wait(LIMIT_SECONDS) and self.address, self.log

    def _read(self):
        for line in self.process.stderr:
            self.log.append(json.loads(line))
            self.http = self.log[-1].get("http_address", getattr(self, "http", None))
            if self.log[-1]["msg"].startswith("listening ") and self.address is None:
                self.address = self.log[-1]["address"]
                self._known.set()
        self._known.set()

    def get(self, path):
        """(status, body)"""
        try:
            with urllib.request.urlopen(f"http://{self.http}{path}", timeout=LIMIT_SECONDS) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(LIMIT_SECONDS)
        self._reader.join()
        return code
