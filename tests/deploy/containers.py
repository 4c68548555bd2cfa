"""podman as these tests use it. They run as root in a mount namespace of their own (tests/deploy/run.sh makes it)."""
import json
import os
import subprocess
import time
import uuid
from pathlib import Path

from commands import ROOT, run

IMAGE, WORKER_IMAGE = "localhost/tensord:test", "localhost/tensord-worker:test"
DIR = Path(os.environ.get("TENSORD_IMAGE_DIR", ROOT / "build" / "image"))
STORAGE = ("--root", DIR / "store", "--runroot", DIR / "run", "--storage-driver", "overlay")
# crun refuses cgroups of both versions at once, and journald need not be there.
PODMAN = ("podman", *STORAGE, "--cgroup-manager", "cgroupfs", "--runtime", "/usr/sbin/runc", "--events-backend", "file")
HARDENED = ("--user", "65532:65532", "--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges",
            "--network", "none", "--pids-limit", "256", "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=4096:4096")
WAIT_SECONDS = 120  # Far above what anything takes, so that only a hung one meets it.


def podman(*arguments, **options):
    return run(*PODMAN, *arguments, **options)


def must(result):
    assert result.returncode == 0, f"{result.args}\n{result.stdout}\n{result.stderr}"
    return result.stdout


def wait_for(what, condition):
    end = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < end, f"no {what} within {WAIT_SECONDS} s"
        time.sleep(0.1)


class Container:
    """A tensord that serves `store` under a memory limit as hardened as can be; `address` is its socket on this side."""

    def __init__(self, store, socket_dir, memory):
        socket_dir.mkdir()
        os.chown(socket_dir, 65532, 65532)
        self.name = f"tensord-{uuid.uuid4().hex[:8]}"
        self.address = f"unix:{socket_dir}/tensord.sock"
        must(podman("run", "-d", "--pull=never", "--name", self.name, *HARDENED, "--memory", memory,
                    "-v", f"{store}:/models:ro", "-v", f"{socket_dir}:/run/tensord", IMAGE))
        wait_for("socket", (socket_dir / "tensord.sock").exists)

    def state(self):
        return json.loads(must(podman("inspect", self.name)))[0]["State"]

    def log(self):
        result = podman("logs", self.name)
        return result.stdout + result.stderr

    def exec(self, *command):
        return podman("exec", self.name, *command)

    def stop(self):
        """Asks it to end, and returns its exit code."""
        must(podman("stop", "-t", "60", self.name))
        return self.state()["ExitCode"]

    def remove(self):
        podman("rm", "-f", self.name)


def tensorctl(address, *arguments, **options):
    """Runs this side's tensorctl; stdout is bytes."""
    program = Path(os.environ["TENSORD_BIN"]) / "tensorctl"
    return subprocess.run([program, "--server", address, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300, check=True, **options).stdout
