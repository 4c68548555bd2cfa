"""A server that is killed and comes back."""
import os
import re
import subprocess

KILLS = int(os.environ.get("TENSORD_PULL_KILLS", "3"))  # Of a server, in the middle of what one command reads.


class Daemon:
    """A tensord that a test may kill and start again on the same port."""

    def __init__(self, bin_dir, store, *flags):
        self.arguments = [str(bin_dir / "tensord"), "--store", str(store), *map(str, flags), "--listen"]
        self.port = 0
        self.start()

    def start(self):
        self.process = subprocess.Popen([*self.arguments, f"127.0.0.1:{self.port}"], stderr=subprocess.PIPE, text=True)
        for line in self.process.stderr:
            found = re.search(r"listening address=127\.0\.0\.1:(\d+)", line.replace('"', ""))
            if found:
                self.port = int(found.group(1))
                break

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
