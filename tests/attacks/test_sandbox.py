"""`--sandbox` on kernels that have everything, and on one that lacks Landlock (T17)."""
import ctypes
import errno
import json
import re
import struct
from pathlib import Path

import pytest

from big_store import make_store
from wire_fuzz import answers

EXIT_NO_SANDBOX = 5
LANDLOCK_CALLS = (444, 445, 446)
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
RETURN_ALLOW, RETURN_ERRNO = 0x7FFF0000, 0x00050000


def without_landlock():
    """Makes this process, before it becomes the server, live on a kernel without Landlock."""
    def instruction(code, when_true, when_false, value):
        return struct.pack("HBBI", code, when_true, when_false, value)

    load, jump_if_equal, leave = 0x20, 0x15, 0x06
    program = instruction(load, 0, 0, 0)
    for left, number in zip((2, 1, 0), LANDLOCK_CALLS):
        program += instruction(jump_if_equal, left + 1, 0, number)
    program += instruction(leave, 0, 0, RETURN_ALLOW) + instruction(leave, 0, 0, RETURN_ERRNO | errno.ENOSYS)
    kept = ctypes.create_string_buffer(program)
    filter_program = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(kept))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.create_string_buffer(filter_program), 0, 0) == 0


def confined_by(running):
    found = re.search(r'.*"msg":"confined".*', running.log)
    return json.loads(found[0])["by"]


def status(pid, field):
    return re.search(rf"{field}:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]


@pytest.fixture
def store(tmp_path):
    return make_store(tmp_path / "store")


def test_it_is_confined_unless_told_otherwise(server, store):
    running = server(store)
    assert "seccomp" in confined_by(running)
    assert (status(running.pid, "Seccomp"), status(running.pid, "NoNewPrivs")) == ("2", "1")
    threads = Path(f"/proc/{running.pid}/task").iterdir()
    assert {re.search(r"Seccomp:\s+(\d)", (thread / "status").read_text())[1] for thread in threads} == {"2"}
    assert answers(running.address)


def test_it_can_be_switched_off(server, store):
    running = server(store, "--sandbox", "off")
    assert confined_by(running) == "none" and status(running.pid, "Seccomp") == "0"
    assert answers(running.address)


def test_a_kernel_without_landlock_leaves_seccomp(server, store):
    running = server(store, preexec_fn=without_landlock)
    assert confined_by(running) == "seccomp"
    assert answers(running.address)


def test_a_sandbox_that_is_required_and_absent_ends_it(server, store):
    running = server(store, "--sandbox", "require", preexec_fn=without_landlock, may_exit=(EXIT_NO_SANDBOX,))
    assert running.process.wait(60) == EXIT_NO_SANDBOX
    assert "no Landlock" in running.log


def test_a_unix_socket_is_removed_at_the_end(server, store, tmp_path):
    running = server(store, "--listen", f"unix:{tmp_path}/s.sock")
    assert (tmp_path / "s.sock").exists() and answers(running.address)
    assert running.stop() == 0
    assert not (tmp_path / "s.sock").exists()
