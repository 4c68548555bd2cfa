"""What may go wrong around a read: servers that stop, die, come back or change, odd names, odd destinations, little memory."""

import array
import mmap
import signal
import socket
import threading

import numpy as np
import pytest
from conftest import Server
from safetensors.numpy import save_file

import tensord

MIB = 1 << 20
LARGE_BYTES = 32 * MIB
LARGE = np.random.default_rng(7).integers(0, 256, LARGE_BYTES, np.uint8)  # So that what is missing or misplaced shows.


@pytest.fixture(scope="module")
def large_store(tmp_path_factory):
    root = tmp_path_factory.mktemp("large")
    save_file({"large": LARGE, "small": np.arange(6, dtype=np.float32).reshape(2, 3)}, root / "m.safetensors")
    return root


@pytest.fixture
def restartable(bin_dir, large_store, tmp_path):
    """start() begins, and begins anew, a server on one Unix socket; each ends with the test."""
    socket_path = tmp_path / "t.sock"
    command = [str(bin_dir / "tensord"), "--store", str(large_store), "--listen", f"unix:{socket_path}"]
    started = []

    def start():
        started.append(Server(command, may_exit=(-signal.SIGKILL,)))
        return started[-1]

    start.url = f"tensord+unix://{socket_path}/m"
    yield start
    for server in started:
        if server.process.poll() is None:
            server.process.send_signal(signal.SIGCONT)
        server.stop()


def kill(server):
    server.process.kill()
    server.process.wait()


def once(work):
    """A progress function that does it at the first bytes."""
    pending = [work]

    def progress(done, size):
        if pending and 0 < done < size:
            pending.pop()()

    return progress


def test_a_read_goes_on_where_its_server_died(restartable):
    first = restartable()

    def die_and_rise():
        kill(first)
        restartable()

    out = np.zeros(LARGE_BYTES, np.uint8)
    with tensord.Client(restartable.url) as client:
        client.read_many({"large": out}, progress=once(die_and_rise))
        assert np.array_equal(out, LARGE)
        assert client.bytes_received < 2 * LARGE_BYTES, "what had come was not asked for again"


def test_a_server_that_stays_away_is_a_connection_error(restartable):
    first = restartable()
    with tensord.Client(restartable.url, connect_timeout=0.3) as client, pytest.raises(ConnectionError) as raised:
        client.load("large", progress=once(lambda: kill(first)))
    assert raised.value.code == "UNAVAILABLE" and "t.sock" in str(raised.value)


def test_a_server_that_stops_in_the_middle_meets_the_timeout(restartable):
    server = restartable()
    with tensord.Client(restartable.url) as client, pytest.raises(TimeoutError):
        client.load("large", timeout=1.0, progress=once(lambda: server.process.send_signal(signal.SIGSTOP)))


def test_ctrl_c_ends_a_read_that_hangs(restartable, run_program):
    server = restartable()
    assert "interrupted" in run_program("""
import os, signal, sys, threading
import tensord
def hang(done, size):
    if 0 < done < size:
        os.kill(int(sys.argv[2]), signal.SIGSTOP)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
client = tensord.Client(sys.argv[1])
try:
    client.load("large", progress=hang)
except KeyboardInterrupt:
    print("interrupted")
""", restartable.url, server.pid)


def test_a_signal_s_handler_may_read_while_a_read_hangs(restartable, run_program):
    server = restartable()
    assert "small 15.0" in run_program("""
import os, signal, sys
import tensord
client = tensord.Client(sys.argv[1])
def hang(done, size):
    if 0 < done < size:
        os.kill(int(sys.argv[2]), signal.SIGSTOP)
        signal.alarm(1)
def handle(number, frame):
    try:
        client.get_tensor("small", timeout=0.2)
    except TimeoutError:
        os.kill(int(sys.argv[2]), signal.SIGCONT)
        print("small", client.get_tensor("small").sum())
signal.signal(signal.SIGALRM, handle)
assert client.load("large", progress=hang)["large"].size
""", restartable.url, server.pid)


def test_leaving_an_iteration_does_not_wait_for_a_server_that_hangs(restartable):
    server = restartable()
    with tensord.Client(restartable.url) as client:
        iterator = client.iterate(["small", "large"], window_bytes=1)
        assert next(iterator)[0] == "small"
        server.process.send_signal(signal.SIGSTOP)
        iterator.close()


@pytest.mark.parametrize("way", ["client", "safe_open", "load_file"])
def test_nobody_waits_for_ever_for_somebody_who_does_not_answer(way):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"tensord://127.0.0.1:{silent.getsockname()[1]}/m"
        with pytest.raises(ConnectionError) as raised:
            if way == "client":
                tensord.Client(url, connect_timeout=0.3).list_models()
            else:
                getattr(tensord, way)(url, connect_timeout=0.3)
        assert url.split("/")[2] in str(raised.value)


def test_a_version_that_changes_between_windows(server, tmp_path):
    """Nothing of the new one is mixed in."""
    save_file({f"t{i}": np.full(4, i) for i in range(4)}, tmp_path / "m.safetensors")
    client = tensord.Client(f"tensord://{server(tmp_path).address}/m")
    iterator = client.iterate(window_bytes=1)
    name, first = next(iterator)
    save_file({f"t{i}": np.full(8, -1) for i in range(4)}, tmp_path / "next.tmp")
    (tmp_path / "next.tmp").rename(tmp_path / "m.safetensors")
    old = client.get_metadata().version
    for _ in range(20_000):
        if client.get_metadata().version != old or client.get_tensor("t0").size == 8:
            break
    seen = {name: first}
    with pytest.raises(tensord.VersionChangedError):
        seen.update(iterator)
    assert len(seen) < 4 and all(array.size == 4 for array in seen.values())


ODD_NAMES = ["", " ", "a b", "ü", "数据", "🙂", "a/b\\c", "x[0:2]", "[0]", "*", "a?{b,c}", "new\nline", "tab\t", "nul\0", "%2F", "'\"", "n" * 4000]


def test_names_may_be_anything(module_server, tmp_path):
    want = {name: np.full((2, 3), i, np.int16) for i, name in enumerate(ODD_NAMES)}
    save_file(want, tmp_path / "m.safetensors")
    url = f"tensord://{module_server(tmp_path).address}/m"
    state = tensord.load_file(url)
    with tensord.safe_open(url, framework="np") as f:
        assert set(f.keys()) == set(want) == set(state)
        for name, whole in want.items():
            np.testing.assert_array_equal(f.get_tensor(name), whole)
            np.testing.assert_array_equal(f.get_slice(name)[:, 1], whole[:, 1])
            np.testing.assert_array_equal(f.client.read_many({name: None})[name], whole)
        with pytest.raises(KeyError):
            f.get_tensor("*?")


def test_an_invalid_file_does_not_open(module_server, tmp_path):
    (tmp_path / "broken.safetensors").write_bytes((1000).to_bytes(8, "little") + b"{")
    address = module_server(tmp_path).address
    for use in (tensord.load_file, lambda url: tensord.safe_open(url, framework="np")):
        with pytest.raises(OSError, match="broken") as raised:
            use(f"tensord://{address}/broken")
        assert isinstance(raised.value, tensord.ModelStateError) and raised.value.reason == "FILE_INVALID"


@pytest.mark.parametrize("model", ["../m", "m/../m", "*", "a b", "é", "m\n", "x" * 5000, "%6d"])
def test_a_model_s_name_is_no_path_and_no_pattern(restartable, model):
    restartable()
    with tensord.Client(restartable.url) as client, pytest.raises((FileNotFoundError, ValueError)):
        client.get_tensor("small", model=model)


@pytest.mark.parametrize("name", [5, None, b"small", ["small"]])
def test_what_is_no_name_is_a_type_error(restartable, name):
    restartable()
    with tensord.Client(restartable.url) as client, pytest.raises(TypeError):
        client.get_tensor(name)


@pytest.mark.parametrize("options", [
    {"timeout": -1}, {"timeout": float("nan")}, {"connect_timeout": 0}, {"connect_timeout": float("nan")}, {"connections": 0},
    {"connections": 65}, {"connections": -1}, {"chunk_bytes": -1}, {"chunk_bytes": 1 << 40}, {"timeout": "1"}, {"first_backoff": -1},
    {"first_backoff": 2, "last_backoff": 1}, {"max_resumes_without_progress": -1}, {"checksum": "yes"}, {"tls_ca": 5}, {"token": 7},
], ids=str)
def test_senseless_options_are_refused(restartable, options):
    restartable()
    with pytest.raises((ValueError, TypeError, TimeoutError)):
        tensord.Client(restartable.url, **options).list_models()


# Destinations.

WHOLE = np.arange(6, dtype=np.float32).reshape(2, 3)


def test_anything_writable_of_the_right_size_is_a_destination(restartable, tmp_path):
    restartable()
    (tmp_path / "file").write_bytes(bytes(WHOLE.nbytes))
    with tensord.Client(restartable.url) as client, open(tmp_path / "file", "r+b") as file:
        mapped = mmap.mmap(file.fileno(), WHOLE.nbytes)
        outs = [bytearray(24), memoryview(bytearray(24)), array.array("f", [0] * 6), mapped, np.zeros(24, np.uint8),
                np.zeros((2, 3), np.float32), np.zeros((4, 9), np.float32)[1:3, 2:8:2], np.zeros((3, 2), np.float32).T,
                np.memmap(tmp_path / "other", np.float32, "w+", shape=(2, 3))]
        for out in outs:
            assert client.read_many({"small": out})["small"] is out
            assert (out.tobytes() if hasattr(out, "tobytes") else bytes(out)) == WHOLE.tobytes()
        mapped.close()


@pytest.mark.parametrize("out", [
    np.zeros((2, 3), np.float64), np.zeros((2, 3), ">f4"), np.zeros((3, 2), np.float32), np.zeros(6, np.float32),
    np.zeros((2, 6), np.float32)[:, ::-2], np.broadcast_to(np.zeros(3, np.float32), (2, 3)), bytearray(23), bytearray(25),
    b"x" * 24, memoryview(b"x" * 24), memoryview(bytearray(48))[::2], np.zeros((2, 3), object), np.zeros(0, np.uint8),
], ids=lambda out: f"{type(out).__name__} {getattr(out, 'dtype', '')} {getattr(out, 'strides', '')}")
def test_a_destination_that_does_not_fit_is_refused(restartable, out):
    restartable()
    with tensord.Client(restartable.url) as client:
        with pytest.raises((ValueError, BufferError)):
            client.read_many([tensord.Read("small", out=out)])
        assert client.bytes_received == 0


def test_overlapping_strides_write_nothing_outside(restartable):
    restartable()
    whole = np.full(20, -1, np.float32)
    out = np.lib.stride_tricks.as_strided(whole[5:], (2, 3), (4, 4))
    with tensord.Client(restartable.url) as client:
        try:
            client.read_many({"small": out})
        except ValueError:
            pass
    assert (whole[:5] == -1).all() and (whole[9:] == -1).all()


# Threads, and memory.


def test_another_thread_runs_while_a_read_does(restartable):
    server = restartable()
    with tensord.Client(restartable.url) as client:
        server.process.send_signal(signal.SIGSTOP)
        ended = threading.Event()

        def read():
            assert client.get_tensor("large").size == LARGE_BYTES
            ended.set()

        reader = threading.Thread(target=read)
        reader.start()
        counted = sum(not ended.is_set() for _ in range(100_000))
        server.process.send_signal(signal.SIGCONT)
        reader.join()
        assert counted == 100_000, "the thread that counts had the interpreter all the time"


@pytest.mark.parametrize("way", ["f.get_tensor('large')", "f.get_tensors()['large']", "tensord.load_file(url)['large']",
                                 "dict(f.client.iterate('large'))['large']"])
def test_a_tensor_is_held_once(restartable, run_program, way):
    """The process grows by the tensor, and by a few chunks on their way."""
    restartable()
    grown = int(run_program(rf"""
import re, sys
import numpy as np
import tensord
url = sys.argv[1]
peak = lambda: int(re.search(r"VmHWM:\s+(\d+) kB", open("/proc/self/status").read())[1]) << 10
f = tensord.safe_open(url, framework="np")
f.get_tensor("small")
before = peak()
kept = {way}
print(peak() - before)
""", restartable.url))
    assert LARGE_BYTES * 0.9 < grown < LARGE_BYTES * 1.5


def test_threads_that_close_and_use_one_client(restartable):
    """Each call either brings its tensor or says that the client is closed."""
    restartable()
    for _ in range(10):
        client, seen = tensord.Client(restartable.url), []

        def use(client=client, seen=seen):
            try:
                while True:
                    assert client.get_tensor("small").sum() == 15
            except Exception as error:
                seen.append(error)

        threads = [threading.Thread(target=use) for _ in range(4)]
        for thread in threads:
            thread.start()
        client.get_tensor("small")
        client.close()
        for thread in threads:
            thread.join()
        assert len(seen) == 4 and all(isinstance(error, tensord.FileClosedError) for error in seen)
