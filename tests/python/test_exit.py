"""No way to end a Python process makes it crash, or wait for somebody who does not answer."""

import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from certificates import Authority
from safetensors.numpy import save_file

AT_ONCE = 4
PATIENCE_SECONDS = 120  # Far above what an exit takes, so that only a hung one meets it.

DAEMONS = """
import sys, threading, time
import numpy as np
import tensord
url = sys.argv[1]
def forever(work):
    while True:
        work()
client = tensord.Client(url)
memory = np.empty((1024, 1024), np.float32)
def missing():
    try:
        client.get_tensor("missing")
    except KeyError:
        pass
for work in (missing, client.list_models, lambda: client.get_tensor("large"), lambda: client.read_many({"large": memory}),
             lambda: tensord.load_file(url), lambda: client.load(progress=lambda *_: None)):
    threading.Thread(target=forever, args=(work,), daemon=True).start()
time.sleep(0.01 * (int(sys.argv[2]) % 7))
"""

OPEN_ITERATORS = """
import sys
import tensord
client = tensord.Client(sys.argv[1])
kept = [client.iterate(window_bytes=1) for _ in range(3)]
for iterator in kept:
    next(iterator)
opened = tensord.safe_open(sys.argv[1], framework="np")
part = opened.get_slice("large")
"""

LIVE_TASKS = """
import asyncio, sys
from tensord import aio
async def work():
    client = aio.Client(sys.argv[1])
    kept.append(asyncio.create_task(client.load()))
    stream = client.iterate(window_bytes=1)
    await stream.__anext__()
    kept.extend([stream, asyncio.create_task(client.get_tensor("large")), client])
    await asyncio.sleep(0)
kept = []
loop = asyncio.new_event_loop()
loop.run_until_complete(work())
"""

# argv[1] accepts connections and never answers.
UNANSWERED = """
import asyncio, sys, threading
import tensord
from tensord import aio
client = tensord.Client(sys.argv[1], connect_timeout=1000)
threading.Thread(target=client.list_models, daemon=True).start()
async def work():
    kept.append(aio.Client(sys.argv[1], connect_timeout=1000))
    kept.append(asyncio.create_task(kept[0].list_models()))
    await asyncio.sleep(0.05)
kept = []
loop = asyncio.new_event_loop()
loop.run_until_complete(work())
"""

FAILING_HANDSHAKE = """
import sys, threading, time
import tensord
client = tensord.Client(sys.argv[1], tls_ca=sys.argv[2], connect_timeout=0.02, retry=False)
threading.Thread(target=tensord.Client(sys.argv[1], tls_ca=sys.argv[2]).list_models, daemon=True).start()
try:
    client.list_models()
except ConnectionError:
    print("refused")
"""


@pytest.fixture(scope="module")
def large(module_server, tmp_path_factory):
    root = tmp_path_factory.mktemp("large")
    save_file({"large": np.ones((1024, 1024), np.float32), **{f"t{i}": np.ones(3) for i in range(20)}}, root / "m.safetensors")
    return f"tensord://{module_server(root).address}/m"


@pytest.fixture
def silent():
    """The address of somebody who accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def run(program, *arguments):
    return subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True,
                          timeout=PATIENCE_SECONDS)


def rounds(count, program, *arguments):
    """What many processes made of it; each gets its number as the last argument."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(lambda number: run(program, *arguments, number), range(count)))


def check(result):
    assert result.returncode == 0, (result.returncode, result.stdout, result.stderr)
    for word in ("Fatal", "terminate", "leaked", "Segmentation"):
        assert word not in result.stderr, result.stderr


def test_daemon_threads_in_the_middle_of_reads(large):
    for result in rounds(12, DAEMONS, large):
        check(result)


@pytest.mark.parametrize("program", [OPEN_ITERATORS, LIVE_TASKS], ids=["open iterators", "live tasks"])
def test_what_nobody_has_ended(large, program):
    for result in rounds(4, program, large):
        check(result)


def test_calls_that_nobody_answers(silent):
    """Their connect_timeout is far beyond our patience."""
    check(run(UNANSWERED, silent))


def test_a_failing_tls_handshake(module_server, tmp_path):
    """The server's authority is another one, so each connection ends in the middle of a handshake, on gRPC's threads."""
    save_file({"x": np.ones(1)}, tmp_path / "m.safetensors")
    cert, key = Authority(tmp_path / "authority").server(tmp_path / "credentials")
    address = module_server(tmp_path, "--tls-cert", cert, "--tls-key", key).address
    stranger = Authority(tmp_path / "stranger").ca
    for result in rounds(20, FAILING_HANDSHAKE, address, stranger):
        check(result)
        assert "refused" in result.stdout


@pytest.mark.parametrize("ending", ["sys.exit(0)", "os._exit(0)", "raise SystemExit(0)", "os.kill(os.getpid(), signal.SIGTERM)"])
def test_other_ways_to_end(large, ending):
    result = run(f"import os, signal, sys, tensord\nf = tensord.safe_open({large!r}, framework='np')\nf.keys()\n{ending}")
    assert result.returncode == (-15 if "SIGTERM" in ending else 0) and not result.stderr
