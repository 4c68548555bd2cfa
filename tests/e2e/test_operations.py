"""What operators rely on: configuration, probes, metrics, logs, drain, exit codes. Real binaries."""
import errno
import fcntl
import json
import os
import re
import resource
import signal
import socket
import subprocess
import threading
import time

import grpc
import numpy as np
import pytest
from safetensors.numpy import save_file

import certificates
import http_port
import injection
import wire
from conftest import BIN
from wire import pb

LIMIT_SECONDS = 60
GRPCURL = wire.ROOT / "build/tools/bin/grpcurl"
README = (wire.ROOT / "README.md").read_text()
BIG_BYTES = 64 << 20  # Far above what a stream may send ahead of its reader.
HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes([0, 0, 0, 4, 0, 0, 0, 0, 0])  # HTTP/2's preface and empty SETTINGS.


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("operations")
    save_file({"t": np.arange(64, dtype=np.uint8)}, directory / "small.safetensors")
    save_file({"t": np.zeros(BIG_BYTES, np.uint8)}, directory / "big.safetensors")
    return directory


@pytest.fixture
def serving(server, store):
    """serving(*flags): a server with JSON logs and HTTP on a free port, and that port's address."""

    def start(*flags, store_dir=store, **options):
        started = server(store_dir, "--log-format", "json", "--http-listen", "127.0.0.1:0", *flags, **options)
        return started, http_port.address_of(started)

    return start


def lines(started, message):
    return [line for line in map(json.loads, started.log.splitlines()) if line["msg"] == message]


def wait_for(fact, what):
    end = time.monotonic() + LIMIT_SECONDS
    while not fact():
        assert time.monotonic() < end, f"still not so: {what}"
        time.sleep(0.01)


def health(address, service):
    result = subprocess.run([GRPCURL, "-plaintext", "-d", json.dumps({"service": service}), address,
                             "grpc.health.v1.Health/Check"], capture_output=True, text=True, timeout=LIMIT_SECONDS)
    return json.loads(result.stdout)["status"] if result.returncode == 0 else result.stderr


def run(bin_dir, *flags, env=None):
    """Runs a daemon that is expected to end by itself."""
    return subprocess.run([str(bin_dir / "tensord"), *map(str, flags)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=LIMIT_SECONDS, check=False, env={**os.environ, **(env or {})})


# ---- Configuration ----


def help_flags(bin_dir):
    return set(re.findall(r"^\s+(?:-h,)?(--[a-z-]+)", run(bin_dir, "--help").stdout, re.M)) - {"--help"}


def test_every_flag_of_the_help_stands_in_readme_and_no_other(bin_dir):
    table = README.partition("### Flags")[2].partition("\n#")[0]
    named = re.findall(r"`(--[a-z-]+)", "\n".join(re.findall(r"^\| (`--.*?) \|", table, re.M)))
    assert sorted(named) == sorted(help_flags(bin_dir))


def test_flag_beats_variable_beats_file(bin_dir, store, tmp_path):
    config = tmp_path / "tensord.conf"
    config.write_text(f"# ours\nstore = {store}\nchunk-bytes = 128KiB\nmax-streams = 5\nlog-level = warn\n")
    env = {"TENSORD_CHUNK_BYTES": "256KiB", "TENSORD_MAX_STREAMS": "6", "TENSORD_PORT": "tcp://10.0.0.1:50051",
           "TENSORD_SERVICE_HOST": "10.0.0.1"}
    printed = run(bin_dir, "--config", config, "--max-streams", "7", "--print-config", env=env)
    assert printed.returncode == 0, printed.stderr
    values = dict(line.split(" = ") for line in printed.stdout.splitlines() if not line.startswith("#"))
    assert (values["max-streams"], values["chunk-bytes"], values["log-level"]) == ("7", "256KiB", "warn")
    assert f"# from {config} line 2\n" in printed.stdout and "# from TENSORD_CHUNK_BYTES\n" in printed.stdout
    again = tmp_path / "again.conf"
    again.write_text(printed.stdout)
    assert run(bin_dir, "--config", again, "--check-config").returncode == 0


def test_what_is_in_effect_is_printed_with_its_origin(bin_dir, store, tmp_path):
    """What depends on the machine, too: as a comment, so that the file does not fix it."""
    printed = run(bin_dir, "--store", store, "--max-streams", "7", "--print-config").stdout
    assert f"# from the command line\nstore = {store}\n" in printed and "# from the command line\nmax-streams = 7\n" in printed
    assert re.search(r"^# io-threads = \d+$", printed, re.M) and re.search(r"^# max-open-files = \d+$", printed, re.M)
    assert "# rescan-interval = 10s\n" in printed and "# log-format = json\n" in printed
    config = tmp_path / "commented.conf"
    config.write_text(f"store = {store}  # ours\nmax-streams = 7 # few\n")
    assert "max-streams = 7\n" in run(bin_dir, "--config", config, "--print-config").stdout


def test_unknown_keys_and_wrong_values_are_exit_2_and_name_their_place(bin_dir, store, tmp_path):
    config = tmp_path / "tensord.conf"
    for text, place in (("port = 1\n", "line 1"), (f"store = {store}\nchunk-bytes = 1\n", "line 2"), ("what\n", "line 1")):
        config.write_text(text)
        refused = run(bin_dir, "--config", config)
        assert refused.returncode == 2 and str(config) in refused.stderr and place in refused.stderr, refused.stderr
    assert run(bin_dir, "--config", tmp_path / "missing").returncode == 2
    refused = run(bin_dir, "--store", store, env={"TENSORD_LOG_LEVEL": "loud"})
    assert refused.returncode == 2 and "TENSORD_LOG_LEVEL" in refused.stderr


def test_what_is_printed_is_accepted_and_prints_the_same(bin_dir, store, tmp_path):
    """Switches without a value, quotes, blanks at the end and several values included."""
    config = tmp_path / "printed.conf"
    flags = ["--store", f"a={store}", "--store", "b=/my models ", "--insecure-allow-remote", "--stall-timeout", "90s",
             "--listen", 'unix:/tmp/"a".sock', "--listen", "[::1]:0", "--tls-key", '"quoted"', "--config", os.devnull]
    printed = run(bin_dir, *flags, "--print-config", env={"TENSORD_PRELOAD": "a/x,b/y"})
    assert printed.returncode == 0, printed.stderr
    config.write_text(printed.stdout)
    again = run(bin_dir, "--config", config, "--print-config")
    assert again.returncode == 0, again.stderr

    def settings(text):
        return [line for line in text.splitlines() if not line.startswith("# from")]

    assert settings(again.stdout) == settings(printed.stdout)
    assert "insecure-allow-remote = true" in settings(printed.stdout)


@pytest.mark.parametrize("lines,place", [
    ("listen = nonsense", "line 2"),
    ("listen = unix:", "line 2"),
    (f"listen = unix:/{'a' * 200}", "line 2"),
    ("http-listen = localhost", "line 2"),
    ("insecure-allow-remote = true\nlisten = 127.0.0.1:70000", "line 3"),
    ("listen = unix:/nowhere/tensord.sock", "/nowhere/tensord.sock"),
    ("listen = unix:{tmp}/file", "no socket"),
    ("listen = http://127.0.0.1:50051", "begins with a scheme"),
    ("http-listen = no.such.host.invalid:1", "no.such.host.invalid"),
    ("tls-cert = {tmp}/file\ntls-key = {tmp}/file", "no PEM certificate"),
    ("tls-cert = {tmp}/file", "--tls-key"),
    ("auth-token-file = {tmp}/tokens", "line 2: wanted is a token"),
    ("max-streams = 3\x004", "line 2: has a control character"),
    ("max-streams = 3\nmax-streams = 4", "line 3: max-streams stands here twice"),
])
def test_check_config_finds_what_would_not_start(bin_dir, store, tmp_path, lines, place):
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "tokens").write_text("0123456789abcdef\ntwo words\n")
    (tmp_path / "tokens").chmod(0o600)
    config = tmp_path / "tensord.conf"
    config.write_text(f"store = {store}\n{lines.replace('{tmp}', str(tmp_path))}\n")
    refused = run(bin_dir, "--config", config, "--check-config")
    assert refused.returncode == 2, refused.stderr
    assert place in refused.stderr
    assert (tmp_path / "file").read_text() == "text\n"


@pytest.mark.parametrize("flags, code", [
    (["--store", "a={store}", "--store", "{store}"], 2),
    (["--store", "{store}", "--listen", "unix:{tmp}/file"], 2),
    (["--store", "{store}", "--http-listen", "unix:{tmp}/file"], 2),
    (["--store", "{store}", "--auth-token-file", "{tmp}/guessable"], 2),
    (["--store", "{store}/missing"], 4),
])
def test_a_check_and_a_start_end_with_the_same_code(bin_dir, store, tmp_path, flags, code):
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "guessable").write_text("letmein\n")
    flags = [flag.format(store=store, tmp=tmp_path) for flag in ["--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", *flags]]
    if flags.count("--http-listen") > 1:
        del flags[2:4]
    started, checked = run(bin_dir, *flags), run(bin_dir, *flags, "--check-config")
    assert (started.returncode, checked.returncode) == (code, code), started.stderr + checked.stderr
    assert "listening address" not in started.stderr


def test_version_is_one_line(bin_dir):
    assert re.fullmatch(r"tensord \d+\.\d+\.\d+\n", run(bin_dir, "--version").stdout)


# ---- Health ----


def test_health_and_its_messages_are_visible_to_reflection(serving):
    started, _ = serving()
    listed = subprocess.run([GRPCURL, "-plaintext", started.address, "list"], capture_output=True, text=True, check=True)
    assert "grpc.health.v1.Health" in listed.stdout
    described = subprocess.run([GRPCURL, "-plaintext", started.address, "describe", "grpc.health.v1.Health"],
                               capture_output=True, text=True, check=True).stdout
    assert "Check" in described and "Watch" in described
    assert health(started.address, "") == health(started.address, "tensord.v1.TensorStore") == "SERVING"
    assert "NotFound" in health(started.address, "nonsense")


def test_readiness_waits_for_the_preloaded_model_and_watch_tells(serving, tmp_path, bin_dir):
    started, http = serving("--preload", "late", store_dir=tmp_path)
    assert http_port.get(http, "/livez")[0] == 200
    assert http_port.get(http, "/startupz")[0] == 503
    status, body = http_port.get(http, "/readyz")
    assert status == 503 and body.startswith('starting: model "late" ')
    [waiting] = lines(started, "not ready yet")
    assert waiting["missing"] in body and not lines(started, "ready")
    assert lines(started, "there are no models: no *.safetensors file in any store")
    assert health(started.address, "") == "SERVING"
    assert health(started.address, "tensord.v1.TensorStore") == "NOT_SERVING"
    probe = [bin_dir / "tensorctl", "--server", started.address, "probe"]
    assert subprocess.run(probe, capture_output=True, timeout=LIMIT_SECONDS).returncode == 4
    assert subprocess.run([*probe, "--service", ""], capture_output=True, timeout=LIMIT_SECONDS).returncode == 0

    watch = subprocess.Popen([GRPCURL, "-plaintext", "-d", '{"service":"tensord.v1.TensorStore"}', started.address,
                              "grpc.health.v1.Health/Watch"], stdout=subprocess.PIPE, text=True)
    told = []
    reader = threading.Thread(target=lambda: told.extend(re.findall(r'"status": "(\w+)"', line)
                                                         for line in watch.stdout))
    reader.start()
    try:
        wait_for(lambda: ["NOT_SERVING"] in told, "Watch tells the state at once")
        save_file({"t": np.zeros(4, np.uint8)}, tmp_path / "late.new")
        (tmp_path / "late.new").rename(tmp_path / "late.safetensors")
        wait_for(lambda: ["SERVING"] in told, "Watch tells the change")
        wait_for(lambda: http_port.get(http, "/readyz")[0] == 200, "ready")
        wait_for(lambda: lines(started, "ready"), "the log says so")
        assert [line["models"] for line in lines(started, "ready")] == [1]
        assert http_port.get(http, "/startupz")[0] == 200
        assert subprocess.run(probe, capture_output=True, timeout=LIMIT_SECONDS).returncode == 0
    finally:
        watch.kill()
        watch.wait()
        reader.join()
        watch.stdout.close()


def test_probe_has_the_exit_codes_of_grpc_health_probe(bin_dir, serving):
    started, _ = serving()

    def probe(*arguments, server=started.address):
        return subprocess.run([bin_dir / "tensorctl", "--server", server, "probe", *arguments], capture_output=True,
                              timeout=LIMIT_SECONDS).returncode

    assert probe() == 0
    assert probe("--nonsense") == 1
    assert probe(server="nonsense") == 1
    assert probe("--service", "nonsense") == 3
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert probe(server=f"127.0.0.1:{closed.getsockname()[1]}") == 2


def test_probe_speaks_tls_shows_its_certificate_and_takes_a_token(bin_dir, serving, tmp_path):
    authority = certificates.Authority(tmp_path / "authority")
    certificate, key = authority.server(tmp_path / "server")
    own_certificate, own_key = authority.client("prober")
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    token.chmod(0o600)
    started, _ = serving("--tls-cert", certificate, "--tls-key", key, "--tls-client-ca", authority.ca, "--auth-token-file", token)

    def probe(*options):
        return subprocess.run([bin_dir / "tensorctl", "--server", started.address, *map(str, options), "probe"],
                              capture_output=True, timeout=LIMIT_SECONDS).returncode

    shown = ("--tls-ca", authority.ca, "--tls-cert", own_certificate, "--tls-key", own_key)
    assert probe(*shown) == 0
    assert probe(*shown, "--token-file", token) == 0
    assert probe(*shown, "--token-file", tmp_path / "missing") == 1
    assert probe("--tls-ca", tmp_path / "missing") == 1
    assert probe("--tls-ca", authority.ca) in (2, 3)  # TLS 1.3: the handshake may be over before the server has refused it.
    assert probe() == 2


# ---- Metrics ----


def test_documented_metrics_are_exported_and_no_others(serving):
    _, http = serving()
    status, text = http_port.get(http, "/metrics")
    assert status == 200
    exported = set(http_port.families(text))
    table = README.partition("### Metrics")[2].partition("\n#")[0]
    documented = set(re.findall(r"`((?:tensord|process)_[a-z_]+)", table))
    assert documented == exported


def test_metrics_count_what_was_served(serving, ctl):
    started, http = serving()
    assert ctl(started).bytes("get", "small", "t", "-o", "-") == bytes(range(64))
    assert ctl(started).run("get", "small", "none", "-o", "-").returncode == 1

    def text():
        return http_port.get(http, "/metrics")[1]

    sent = 'tensord_sent_bytes_total{method="GetTensor",model="small"}'
    wait_for(lambda: sum(http_port.value(text(), f'tensord_sent_bytes_total{{method="{method}",model="small"}}')
                         for method in ("GetTensor", "GetSlice", "GetTensors")) == 64, sent)
    page = text()
    assert 'code="NOT_FOUND"} ' in page
    assert http_port.value(page, 'tensord_requests_rejected_total{reason="TENSOR_NOT_FOUND"}') >= 1
    assert http_port.value(page, "tensord_models") == 2
    assert http_port.value(page, 'tensord_files{state="ok"}') == 2
    assert http_port.value(page, "process_resident_memory_bytes") > 1 << 20
    assert abs(http_port.value(page, "process_start_time_seconds") - time.time()) < 3600
    assert http_port.value(page, "tensord_scan_last_success_timestamp_seconds") > 1.6e9


def test_connections_are_counted_by_listener(serving, tmp_path):
    unix = f"unix:{tmp_path}/tensord.sock"
    started, http = serving("--listen", "127.0.0.1:0", "--listen", unix)

    def open_now(listener):
        return http_port.value(http_port.get(http, "/metrics")[1], f'tensord_connections{{listener="{listener}"}}')

    assert (open_now(started.address), open_now(unix)) == (0, 0)
    with socket.create_connection(started.address.rsplit(":", 1)), socket.socket(socket.AF_UNIX) as other:
        other.connect(unix.removeprefix("unix:"))
        wait_for(lambda: (open_now(started.address), open_now(unix)) == (1, 1), "one each")
    wait_for(lambda: (open_now(started.address), open_now(unix)) == (0, 0), "they have ended")
    page = http_port.get(http, "/metrics")[1]
    assert http_port.value(page, f'tensord_connections_total{{listener="{unix}",result="accepted"}}') == 1


def test_http_does_little_and_survives_nonsense(serving):
    _, http = serving()
    host, port = http.rsplit(":", 1)
    for request in (b"\x00" * 4096, b"GET " + b"/" * 5000, b"POST /metrics HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"):
        with socket.create_connection((host, int(port)), timeout=LIMIT_SECONDS) as connection:
            connection.sendall(request)
            try:
                answer = connection.recv(64)
            except ConnectionResetError:
                answer = b""
            assert not answer or answer.startswith(b"HTTP/1.1 4")
    # So many that a probe would not be answered in time if each of them was waited for.
    silent = [socket.create_connection((host, int(port))) for _ in range(600)]
    assert http_port.get(http, "/livez")[0] == 200
    assert http_port.get(http, "/../etc/passwd")[0] == 404
    for connection in silent:
        connection.close()


# ---- Logs ----


def test_each_call_has_a_line_and_its_request_id_travels(serving, ctl):
    started, _ = serving("--access-log", "on")
    channel, stub = wire.connect(started.address)
    with channel:
        request = pb.GetSliceRequest(model="small", tensor="t", slice="[2:10]")
        wire.collect(stub.GetSlice(request, metadata=[("x-request-id", "order-4711")]))
        with pytest.raises(grpc.RpcError) as error:
            stub.PeekTensor(pb.PeekTensorRequest(model="small", tensor="x"), metadata=[("x-request-id", "order-4712")])
        assert ("x-request-id", "order-4712") in error.value.trailing_metadata()
        stub.ListModels(pb.ListModelsRequest(), metadata=[("x-request-id", "not safe\"}")])
    wait_for(lambda: len(lines(started, "call")) == 3, "three lines")
    by_method = {line["method"]: line for line in lines(started, "call")}
    assert set(by_method) == {"GetSlice", "PeekTensor", "ListModels"}
    read = by_method["GetSlice"]
    assert read["request_id"] == "order-4711" and read["code"] == "OK" and read["bytes"] == 8
    assert (read["model"], read["tensor"], read["slice"]) == ("small", "t", "[2:10]")
    assert read["peer"].startswith("ipv4:127.0.0.1:") and read["duration_ms"] >= read["first_byte_ms"] >= 0
    peek = by_method["PeekTensor"]
    assert peek["request_id"] == "order-4712" and peek["reason"] == "TENSOR_NOT_FOUND" and "x" in peek["error"]
    assert re.fullmatch(r"[0-9a-f]{16}", by_method["ListModels"]["request_id"])

    failed = ctl(started).run("show", "small", "none")
    shown = re.search(r"\(request ([0-9a-f]{16})\)", failed.stderr.decode())[1]
    wait_for(lambda: any(line["request_id"] == shown for line in lines(started, "call")), "tensorctl's call is logged")


def test_a_line_names_the_user_behind_a_socket_and_the_one_tensor_of_a_batch(serving, ctl, tmp_path):
    address = f"unix:{tmp_path}/tensord.sock"
    started, _ = serving("--access-log", "on", "--listen", address)
    assert ctl(address).bytes("get", "small", "t[2:6]", "-o", "-") == bytes(range(2, 6))
    wait_for(lambda: [line for line in lines(started, "call") if line["bytes"]], "the read's line")
    [read] = [line for line in lines(started, "call") if line["bytes"]]
    assert (read["peer"], read["model"], read["tensor"], read["slice"]) == (f"uid:{os.getuid()}", "small", "t", "[2:6]")


def test_by_default_only_failures_and_slow_calls_are_logged(serving, ctl):
    started, _ = serving()
    ctl(started).bytes("models")
    assert ctl(started).run("show", "none").returncode == 1
    wait_for(lambda: lines(started, "call"), "the failure's line")
    assert {line["code"] for line in lines(started, "call")} == {"NOT_FOUND"}


def test_hostile_names_leave_one_object_a_line(serving, tmp_path):
    (tmp_path / "a\nb\x1b[2J\"}\\.safetensors").write_bytes(b"\x01")
    started, http = serving("--access-log", "on", "--log-level", "debug", store_dir=tmp_path)
    channel, stub = wire.connect(started.address)
    names = ['\n{"level":"error"}', "\x1b[31m\x00", '"\\', "\u202e\u2028", "x" * (1 << 20), "\x7f\x9b"]
    with channel:
        for name in names:
            for call in (lambda: stub.PeekTensor(pb.PeekTensorRequest(model=name, tensor=name, slice=name)),
                         lambda: list(stub.GetSlice(pb.GetSliceRequest(model=name, tensor=name, slice=name)))):
                with pytest.raises(grpc.RpcError):
                    call()
    wait_for(lambda: len(lines(started, "call")) == 2 * len(names), "a line each")
    for line in started.log.splitlines():
        parsed = json.loads(line)
        assert {"ts", "level", "msg"} <= set(parsed) and parsed["level"] in ("debug", "info", "warn", "error")
        assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2028]", line), line
        assert len(line) < 8192
    http_port.families(http_port.get(http, "/metrics")[1])


def test_a_log_that_nobody_reads_stops_nobody(bin_dir, store, ctl):
    """A full pipe costs lines, which are counted, and neither calls nor the end."""
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with socket.socket() as free, socket.socket() as free_http:
        for each in (free, free_http):
            each.bind(("127.0.0.1", 0))
        address, http = (f"127.0.0.1:{each.getsockname()[1]}" for each in (free, free_http))
    process = subprocess.Popen([bin_dir / "tensord", "--store", store, "--listen", address, "--http-listen", http, "--access-log", "on"],
                               stdin=subprocess.DEVNULL, stderr=writer)
    os.close(writer)
    try:
        client = ctl(address)
        wait_for(lambda: client.run("models").returncode == 0, "it serves")
        for i in range(40):
            assert client.run("show", f"none-{i}").returncode == 1
        assert http_port.value(http_port.get(http, "/metrics")[1], "tensord_log_lines_lost_total") > 0
        process.terminate()
        assert process.wait(LIMIT_SECONDS) == 0
    finally:
        process.kill()
        process.wait()
        os.close(reader)


def test_no_socket_takes_the_place_of_a_closed_standard_descriptor(serving):
    """What is written to standard error would be sent to a client."""
    started, _ = serving(preexec_fn=lambda: os.closerange(0, 2))
    # gRPC takes the lowest number before main, for an event that it never uses.
    assert [os.readlink(f"/proc/{started.pid}/fd/{fd}") for fd in (0, 1)] == ["anon_inode:[eventfd]", os.devnull]


def test_files_and_directories_that_may_not_be_read_are_unreadable_and_named(serving, tmp_path):
    """As for a user without the right to: root would have it."""
    for name in ("good", "shut", "shut-directory/m"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        save_file({"t": np.zeros(4, np.uint8)}, tmp_path / f"{name}.safetensors")
    (tmp_path / "lost+found").mkdir()
    denied = injection.environment("open", "shut", error=errno.EACCES)
    started, http = serving(store_dir=tmp_path, env=denied)
    problems = {line["file"]: line for line in lines(started, "cannot serve")}
    assert set(problems) == {"shut.safetensors", "shut-directory"}
    assert {line["reason"] for line in problems.values()} == {"READ_ERROR"}
    assert all("Permission denied" in line["error"] and "variant" not in line for line in problems.values())
    assert problems["shut.safetensors"]["model"] == "shut" and "model" not in problems["shut-directory"]
    page = http_port.get(http, "/metrics")[1]
    assert [http_port.value(page, f'tensord_files{{state="{state}"}}') for state in ("ok", "invalid", "unreadable")] == [1, 0, 2]


def test_a_slice_costs_no_failed_call(serving, ctl):
    """Though the whole text might be a tensor's name."""
    started, http = serving("--access-log", "on")
    assert ctl(started).bytes("get", "small", "t[2:6]", "-o", "-") == bytes(range(2, 6))
    ctl(started).bytes("peek", "small", "t[2:6]")
    wait_for(lambda: any(line["method"] == "PeekTensor" for line in lines(started, "call")), "both are logged")
    assert {line["code"] for line in lines(started, "call")} == {"OK"}
    assert "tensord_requests_rejected_total{" not in http_port.get(http, "/metrics")[1]


def test_metrics_that_others_can_read_are_said_so(server, store):
    for host, is_said in (("0.0.0.0", True), ("127.0.0.1", False)):
        started = server(store, "--log-format", "json", "--http-listen", f"{host}:0")
        assert bool(lines(started, "other machines can read probes and metrics")) == is_said


# ---- Start and stop ----


def test_a_second_instance_on_the_http_port_is_exit_3(serving, bin_dir, store):
    _, http = serving()
    second = run(bin_dir, "--store", store, "--listen", "127.0.0.1:0", "--http-listen", http)
    assert second.returncode == 3, second.stderr
    assert http_port.get(http, "/livez")[0] == 200


def test_a_signal_during_the_first_scan_ends_it(serving, store, tmp_path):
    """A scan that a slow file system holds up cannot be interrupted, and nothing is served yet that could be lost."""
    held_up, unix = tmp_path / "held-up", tmp_path / "tensord.sock"
    slow = injection.environment("open", "small.safetensors", error=0, milliseconds=3_600_000, fired=held_up)
    process = subprocess.Popen([BIN / "tensord", "--store", store, "--listen", f"unix:{unix}", "--http-listen", "off",
                                "--log-format", "json"], env=slow, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(held_up.exists, "the scan is held up")
    process.terminate()
    log = process.communicate(timeout=LIMIT_SECONDS)[1]
    assert process.returncode == 0 and "stopped before the first scan was done" in log, log
    assert not unix.exists()


def test_drain_serves_on_then_refuses_and_lets_streams_end(serving):
    started, http = serving("--drain-delay", "1s", "--access-log", "on")
    channel, stub = wire.connect(started.address)
    with channel:
        stream = stub.GetTensor(pb.GetTensorRequest(model="big", tensor="t"))
        received = len(next(stream).parts[0].data)
        started.process.terminate()
        wait_for(lambda: http_port.get(http, "/readyz")[0] == 503, "not ready")
        assert http_port.get(http, "/readyz")[1] == "draining\n"
        assert http_port.get(http, "/livez")[0] == 200
        assert http_port.value(http_port.get(http, "/metrics")[1], "tensord_draining") == 1
        stub.ListModels(pb.ListModelsRequest())  # Served on, for whoever has not heard yet.

        def refused():
            try:
                stub.ListModels(pb.ListModelsRequest())
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                return True
            return False

        wait_for(refused, "new calls are refused after the delay")
        received += sum(len(part.data) for chunk in stream for part in chunk.parts)
        assert received == BIG_BYTES and stream.code() == grpc.StatusCode.OK
    assert started.process.wait(LIMIT_SECONDS) == 0
    assert any(line["method"] == "GetTensor" and line["code"] == "OK" for line in lines(started, "call"))


def test_connections_are_counted_and_silent_ones_closed_while_draining(serving):
    started, http = serving("--shutdown-grace", "10m")
    listener = f'tensord_connections{{listener="{started.address}"}}'

    def num_open():
        return http_port.value(http_port.get(http, "/metrics")[1], listener)

    host, port = started.address.rsplit(":", 1)
    channel, stub = wire.connect(started.address)
    with channel, socket.create_connection((host, int(port)), LIMIT_SECONDS) as silent:
        stream = stub.GetTensor(pb.GetTensorRequest(model="big", tensor="t"))
        received = len(next(stream).parts[0].data)
        with socket.create_connection((host, int(port)), LIMIT_SECONDS) as idle:
            idle.sendall(HELLO)
            assert idle.recv(1)
            wait_for(lambda: num_open() == 3, "three connections")
            started.process.terminate()
            assert silent.recv(1) == b""
            wait_for(lambda: num_open() == 2, "the silent one is gone")
        wait_for(lambda: num_open() == 1, "the idle one has gone")
        received += sum(len(part.data) for chunk in stream for part in chunk.parts)
        assert received == BIG_BYTES and stream.code() == grpc.StatusCode.OK
    assert started.process.wait(LIMIT_SECONDS) == 0


def test_a_stream_that_outlasts_the_grace_is_told_to_go_elsewhere(serving):
    started, _ = serving("--shutdown-grace", "200ms", "--access-log", "on")
    channel, stub = wire.connect(started.address)
    with channel:
        stream = stub.GetTensor(pb.GetTensorRequest(model="big", tensor="t"))
        next(stream)
        started.process.terminate()
        assert started.process.wait(LIMIT_SECONDS) == 0
        with pytest.raises(grpc.RpcError) as error:
            list(stream)
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE
    wait_for(lambda: lines(started, "call"), "the stream's line")
    assert [(line["code"], line["reason"]) for line in lines(started, "call")] == [("UNAVAILABLE", "DRAINING")]


def test_a_second_signal_ends_at_once_with_exit_1(serving):
    started, _ = serving("--drain-delay", "1h", may_exit=(1,))
    started.process.terminate()
    wait_for(lambda: lines(started, "draining"), "the first signal")
    os.kill(started.pid, signal.SIGTERM)
    assert started.process.wait(LIMIT_SECONDS) == 1
    wait_for(lambda: lines(started, "a second signal: ending at once"), "the log says so")


def test_signals_of_log_rotation_end_nothing(serving):
    started, http = serving()
    for unused in (signal.SIGUSR1, signal.SIGUSR2):
        os.kill(started.pid, unused)
    assert http_port.get(http, "/livez")[0] == 200


def test_old_connections_are_asked_to_come_anew(serving):
    started, _ = serving("--access-log", "on", "--max-connection-age", "50ms")
    channel, stub = wire.connect(started.address)

    def peers():
        stub.ListModels(pb.ListModelsRequest(), wait_for_ready=True, timeout=LIMIT_SECONDS)
        return {line["peer"] for line in lines(started, "call")}

    with channel:
        wait_for(lambda: len(peers()) > 1, "a second connection, without a failed call")


def test_few_descriptors_for_the_connections_are_warned_of(serving):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))

    warned, _ = serving(preexec_fn=few)
    [line] = [line for line in map(json.loads, warned.log.splitlines()) if "descriptors" in line["msg"]]
    assert (line["level"], line["limit"], line["max_connections"]) == ("warn", 200, 256) and line["wanted"] > 512
    content, _ = serving("--max-connections", "60", preexec_fn=few)
    assert "descriptors" not in content.log


def test_http_can_be_off(server, store):
    assert "http_address" not in server(store, "--http-listen", "off").log


def test_logs_and_http_tell_no_paths_of_the_host(serving, tmp_path):
    private = tmp_path / "private-path"
    private.mkdir()
    (private / "bad.safetensors").write_bytes(b"\x01")
    started, http = serving(store_dir=private)
    for page in ("/metrics", "/readyz", "/nothing"):
        assert "private-path" not in http_port.get(http, page)[1]
    warnings = [line for line in map(json.loads, started.log.splitlines()) if line["level"] == "warn"]
    assert warnings and all("private-path" not in json.dumps(line) for line in warnings)


# ---- Several servers ----


def test_a_read_goes_on_at_another_replica_when_one_is_killed(serving, bin_dir, store, tmp_path):
    replicas = [serving("--listen", f"127.0.0.{i}:0", may_exit=(-signal.SIGKILL,)) for i in (2, 3, 4)]
    address = "ipv4:" + ",".join(started.address for started, _ in replicas)
    output = tmp_path / "t.bin"
    for _ in range(20):  # A read may be over before it is seen; then another one.
        client = subprocess.Popen([bin_dir / "tensorctl", "--server", address, "get", "big", "t", "-f", "-o", output],
                                  stderr=subprocess.PIPE)
        busy = None
        while busy is None and client.poll() is None:
            busy = next((started for started, http in replicas if started.process.poll() is None and any(
                http_port.value(http_port.get(http, "/metrics")[1], f'tensord_streams_active{{method="{method}"}}') > 0
                for method in ("GetTensor", "GetSlice", "GetTensors"))), None)
        if busy is not None:
            busy.process.kill()
        _, error = client.communicate(timeout=LIMIT_SECONDS)
        assert client.returncode == 0, error
        assert output.read_bytes() == bytes(BIG_BYTES)
        output.unlink()
        if busy is not None:
            return
    pytest.fail("no read was seen while it ran")
