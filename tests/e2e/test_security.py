"""Who may read what: the start-up matrix, every RPC against every kind of credential, certificates that are replaced."""
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import grpc
import pytest

import http_port
import processes
import rpcs
import stores
import wire
from certificates import Authority
from wire import pb

LIMIT_SECONDS = 60
READER, SCOPED, HASHED, WRONG = "reader-of-everything-7f3a", "reader-of-open-91bc", "hashed-token-55aa", "no-such-token-0000"
TOKENS = f"""# Who may read what.
{READER}
{SCOPED} models=open models=also/o*

sha256:{hashlib.sha256(HASHED.encode()).hexdigest()} models=open
dns:worker.example models=open
uri:spiffe://test/*
subject:O=Test Lab,CN=dn-worker models=secret
"""
# Names that nobody may learn who has no right to them.
SECRETS = ("secret", "hidden")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    directory = tmp_path_factory.mktemp("security") / "store"
    for model in ("open", "secret", "also/open", "also/hidden"):
        stores.write_raw(directory / model / "model.safetensors", {"w": ("U8", (4,), model[:4].ljust(4).encode())})
        (directory / model / "config.json").write_text("{}")
    return directory


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def files(authority, tmp_path_factory):
    """Files for servers: cert, key, ca, tokens."""
    directory = tmp_path_factory.mktemp("credentials")
    cert, key = authority.server(directory)
    tokens = directory / "tokens"
    tokens.write_text(TOKENS)
    tokens.chmod(0o600)
    key.chmod(0o600)
    return {"cert": cert, "key": key, "ca": authority.ca, "tokens": tokens}


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def secure_channel(address, ca, client=None):
    key, cert = (client[1].read_bytes(), client[0].read_bytes()) if client else (None, None)
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(ca.read_bytes(), key, cert),
                               [("grpc.use_local_subchannel_pool", 1)])


class Door:
    """A way into a server. `callers`: by name a (channel, metadata) that comes with some credential."""

    def __init__(self, callers):
        self.callers = callers

    def call(self, caller, method, request):
        channel, metadata = self.callers[caller]
        return method.call(channel, request, metadata)


@pytest.fixture(scope="module")
def doors(module_server, store, files, authority, tmp_path_factory):
    tls_flags = ["--tls-cert", files["cert"], "--tls-key", files["key"]]
    token_flags = ["--auth-token-file", files["tokens"]]
    socket = tmp_path_factory.mktemp("socket") / "t.sock"
    tls = module_server(store, *tls_flags, *token_flags)
    mtls = module_server(store, *tls_flags, *token_flags, "--tls-client-ca", files["ca"])
    unix = module_server(store, *token_flags, "--listen", f"unix:{socket}")

    def with_tokens(channel):
        return {"none": (channel, []), "wrong": (channel, bearer(WRONG)), "right": (channel, bearer(READER)),
                "hashed": (channel, bearer(HASHED)), "scoped": (channel, bearer(SCOPED))}

    def with_certificate(name, alternative_names=None):
        return secure_channel(mtls.address, files["ca"], authority.client(name, alternative_names))

    stranger = with_certificate("stranger")
    return {
        "TLS": Door(with_tokens(secure_channel(tls.address, files["ca"]))),
        "Unix": Door(with_tokens(grpc.insecure_channel(unix.address))),
        "mTLS": Door({**with_tokens(stranger),
                      "right": (with_certificate("all", "URI:spiffe://test/all"), []),
                      "scoped": (with_certificate("worker.example"), []),
                      "subject": (with_certificate("dn-worker"), [])}),
    }


@pytest.fixture(scope="module")
def methods(doors):
    channel, metadata = doors["Unix"].callers["right"]
    return rpcs.reflect(channel, metadata)


def test_the_matrix_has_every_rpc(methods):
    requests = rpcs.requests("open", "w", "config.json")
    assert set(methods) == set(requests), "write down a request for each RPC in rpcs.py"
    assert {path.split("/")[1] for path in methods} == {
        rpcs.STORE, rpcs.HEALTH, "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"}


@pytest.mark.parametrize("door", ["TLS", "mTLS", "Unix"])
@pytest.mark.parametrize("caller", ["none", "wrong", "right", "hashed", "scoped"])
def test_every_rpc_asks_for_credentials_and_rights(doors, methods, door, caller):
    """On a model that all good credentials here may read, and on one that two of them may not."""
    for model, (path, method) in itertools.product(("open", "secret", "absent"), methods.items()):
        code, details, answers = doors[door].call(caller, method, rpcs.requests(model, "w", "config.json")[path])
        row = (door, caller, model, path, code, details)
        if path.startswith(f"/{rpcs.HEALTH}/"):
            assert code is grpc.StatusCode.OK, row
        elif caller in ("none", "wrong"):
            assert code is grpc.StatusCode.UNAUTHENTICATED and not answers, row
            assert model not in details, row
        elif caller in ("scoped", "hashed") and rpcs.is_on_model(path) and model != "open":
            assert code is grpc.StatusCode.PERMISSION_DENIED and not answers, row
        elif rpcs.is_on_model(path) and model == "absent":
            assert code is grpc.StatusCode.NOT_FOUND, row
        else:
            assert code is grpc.StatusCode.OK and answers, row
        if caller in ("none", "wrong", "scoped", "hashed"):
            told = details + "".join(answer.decode(errors="replace") for answer in answers)
            assert not any(secret in told.replace(f'"{model}"', "") for secret in SECRETS), row


def test_a_token_decides_though_the_certificate_is_good(doors):
    """And a certificate is found by its subject's whole name, too."""
    def models(caller, metadata=None):
        channel, own = doors["mTLS"].callers[caller]
        listed = wire.rpc.TensorStoreStub(channel).ListModels(pb.ListModelsRequest(), metadata=metadata or own)
        return [model.id for model in listed.models]

    assert models("subject") == ["secret/model"]
    assert models("subject", bearer(SCOPED)) == ["also/open/model", "open/model"]
    with pytest.raises(grpc.RpcError) as error:
        models("right", bearer(WRONG))
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_a_client_without_a_certificate_or_with_a_foreign_one_reaches_no_rpc(module_server, store, files, tmp_path):
    server = module_server(store, "--tls-cert", files["cert"], "--tls-key", files["key"], "--tls-client-ca", files["ca"])
    foreign = Authority(tmp_path / "foreign", "another authority").client("worker.example")
    for client in (None, foreign):
        with secure_channel(server.address, files["ca"], client) as channel:
            code, _, _ = rpcs.Method(rpcs.HEALTH, Check()).call(channel, b"")
            assert code is grpc.StatusCode.UNAVAILABLE
    with grpc.insecure_channel(server.address) as channel:
        assert rpcs.Method(rpcs.HEALTH, Check()).call(channel, b"")[0] is grpc.StatusCode.UNAVAILABLE


def der_names(*names):
    """Alternative DNS names, for an extension, with whatever bytes."""
    def tagged(tag, content):
        size = bytes([len(content)]) if len(content) < 128 else b"\x82" + len(content).to_bytes(2, "big")
        return bytes([tag]) + size + content
    return "DER:" + tagged(0x30, b"".join(tagged(0x82, name) for name in names)).hex(":")


def test_odd_certificates_are_nobody_else(module_server, store, files, authority, tmp_path):
    """Without a name, with a name that holds another before a NUL, with thousands of them, and outside their time."""
    server = module_server(store, "--tls-cert", files["cert"], "--tls-key", files["key"], "--tls-client-ca", files["ca"],
                           "--auth-token-file", files["tokens"])

    def code(name, alternative_names, **options):
        client = authority.issue(name, alternative_names, tmp_path / "odd.crt", tmp_path / "odd.key", **options)
        with secure_channel(server.address, files["ca"], client) as channel:
            return rpcs.Method(rpcs.STORE, ListModels()).call(channel, b"")[0]

    many = [f"n{i}.example".encode() for i in range(2000)]
    status = grpc.StatusCode
    assert code("x", der_names(b"worker.example")) is status.OK
    assert code("", None) is status.UNAUTHENTICATED
    assert code("x", der_names(b"worker.example\0.evil.example")) is status.UNAUTHENTICATED
    assert code("x", der_names(b"\xff\xfe", b"*.example", b"")) is status.UNAUTHENTICATED
    assert code("x", der_names(*many)) is status.UNAUTHENTICATED
    assert code("x", der_names(*many, b"worker.example")) is status.OK
    assert code("x", "DNS:worker.example", days=0) is status.UNAVAILABLE
    assert code("x", "DNS:worker.example", begin=2090) is status.UNAVAILABLE
    assert server.process.poll() is None


class Check:
    """The descriptor of health's Check."""
    name, client_streaming, server_streaming = "Check", False, False


def test_lists_and_suggestions_show_what_the_caller_may_read(doors):
    def ids(caller, **fields):
        channel, metadata = doors["TLS"].callers[caller]
        listed = wire.rpc.TensorStoreStub(channel).ListModels(pb.ListModelsRequest(**fields), metadata=metadata)
        return [model.id for model in listed.models], listed.next_page_token

    assert ids("right")[0] == ["also/hidden/model", "also/open/model", "open/model", "secret/model"]
    assert ids("scoped") == (["also/open/model", "open/model"], "")
    first, token = ids("scoped", page_size=1)
    assert (first, ids("scoped", page_size=1, page_token=token)) == (["also/open/model"], (["open/model"], ""))
    assert ids("scoped", filter="*hidden*") == ([], "")

    channel, metadata = doors["TLS"].callers["scoped"]
    with pytest.raises(grpc.RpcError) as error:
        wire.rpc.TensorStoreStub(channel).ListTensors(pb.ListTensorsRequest(model="also/oppen/model"), metadata=metadata)
    assert error.value.code() is grpc.StatusCode.NOT_FOUND and "also/open/model" in error.value.details()
    assert not any(secret in error.value.details() for secret in SECRETS)


def test_a_denied_model_reads_alike_whether_it_exists_or_not(doors):
    channel, metadata = doors["TLS"].callers["scoped"]
    answers = set()
    for model in ("secret", "absent", "secret/model", "also/hidden", "open-not", "secret/model.safetensors"):
        with pytest.raises(grpc.RpcError) as error:
            wire.rpc.TensorStoreStub(channel).GetMetadata(pb.GetMetadataRequest(model=model), metadata=metadata)
        answers.add((error.value.code(), error.value.details().replace(model, "MODEL")))
    assert len(answers) == 1, answers


def test_no_rpc_tells_a_denied_model_from_one_that_is_not_there(doors, methods):
    """By its id, its short name, its directory's, its file's, with a version, and in the middle of paths."""
    names = ("secret", "secret/model", "secret/model.safetensors", "secret/config.json", "absent", "absent/model",
             "absent/model.safetensors", "also/hidden", "also/absent", "secret@main", "./secret", "../open", "SECRET")
    for path, method in methods.items():
        if not rpcs.is_on_model(path):
            continue
        answers = set()
        for name in names:
            code, details, messages = doors["Unix"].call("scoped", method, rpcs.requests(name, "w", "config.json")[path])
            answers.add((code, details.replace(name, "NAME"), len(messages)))
        assert len(answers) == 1 and answers.pop()[0] is grpc.StatusCode.PERMISSION_DENIED, (path, answers)


@pytest.mark.parametrize("header", ["{}", "Basic {}", "Bearer", "Bearer {} {}", "Bearer {}x", "Bearerx {}", "Bearer  "])
def test_other_headers_are_no_credential(doors, header):
    channel, _ = doors["TLS"].callers["right"]
    metadata = [("authorization", header.replace("{}", READER))]
    with pytest.raises(grpc.RpcError) as error:
        wire.rpc.TensorStoreStub(channel).ListModels(pb.ListModelsRequest(), metadata=metadata)
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as error:
        wire.rpc.TensorStoreStub(channel).ListModels(pb.ListModelsRequest(), metadata=bearer(READER) + bearer(SCOPED))
    assert error.value.code() is grpc.StatusCode.UNAUTHENTICATED, "two of them"


def run(bin_dir, store, *flags, **options):
    return subprocess.run([str(bin_dir / "tensord"), "--store", str(store), *map(str, flags)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False, **options)


TLS_FLAGS = ["--tls-cert", "{cert}", "--tls-key", "{key}"]
START_UP = [  # address, flags, whether it starts
    ("127.0.0.1:0", [], True),
    ("localhost:0", [], True),
    ("[::1]:0", [], True),
    ("unix:{dir}/s.sock", [], True),
    ("127.0.0.1:0", ["--auth-token-file", "{tokens}"], True),
    ("0.0.0.0:0", [], False),
    ("[::]:0", [], False),
    ("0.0.0.0:0", TLS_FLAGS, False),
    ("0.0.0.0:0", ["--auth-token-file", "{tokens}"], False),
    ("0.0.0.0:0", [*TLS_FLAGS, "--auth-token-file", "{tokens}"], True),
    ("[::]:0", [*TLS_FLAGS, "--tls-client-ca", "{ca}"], True),
    ("0.0.0.0:0", ["--insecure-allow-remote"], True),
    ("0.0.0.0:0", [*TLS_FLAGS, "--insecure-allow-remote"], True),
]


@pytest.mark.parametrize("address, flags, starts", START_UP, ids=[f"{a}{f}" for a, f, _ in START_UP])
def test_remote_addresses_need_tls_and_credentials(bin_dir, store, server, files, tmp_path, address, flags, starts):
    values = {**files, "dir": tmp_path}
    flags = [flag.format(**values) for flag in [*flags, "--listen", address]]
    checked = run(bin_dir, store, *flags, "--check-config")
    if starts:
        assert checked.returncode == 0, checked.stderr
        server(store, *flags)
        return
    for refused in (checked, run(bin_dir, store, *flags)):
        assert refused.returncode == 2, refused.stderr
        assert "other machines can reach" in refused.stderr and "--insecure-allow-remote" in refused.stderr
        assert ("give --tls-cert" in refused.stderr) == ("--tls-cert" not in flags)
        assert ("give --auth-token-file" in refused.stderr) == ("--auth-token-file" not in flags)
        assert "listening address" not in refused.stderr
    with_environment = run(bin_dir, store, "--check-config", "--listen", "0.0.0.0:0",
                           env={**os.environ, "TENSORD_INSECURE_ALLOW_REMOTE": "true"})
    assert with_environment.returncode == 0, with_environment.stderr


def bad_files(authority, directory):
    """(what is wrong, flags, what the message says)."""
    cert, key = authority.server(directory / "good")
    _, other_key = authority.server(directory / "other")
    expired, expired_key = authority.issue("old", "DNS:localhost", directory / "old.crt", directory / "old.key", days=0)
    encrypted = directory / "encrypted.key"
    subprocess.run(["openssl", "pkcs8", "-topk8", "-in", key, "-out", encrypted, "-passout", "pass:x"], check=True)
    text, empty = directory / "text", directory / "empty"
    text.write_text("a b c\n")
    empty.write_text("# nobody\n")
    repeated, bad_glob, kind = directory / "repeated", directory / "glob", directory / "kind"
    repeated.write_text("token-one-123456\ntoken-one-123456 models=x\n")
    bad_glob.write_text("token-one-123456 models={a\n")
    kind.write_text("dsn:token-one-123456\n")
    missing = directory / "missing"
    tls = ["--tls-cert", cert, "--tls-key", key]
    return [
        ("no key", ["--tls-cert", cert], "need each other"),
        ("no certificate", ["--tls-key", key], "need each other"),
        ("a client ca alone", ["--tls-client-ca", authority.ca], "needs --tls-cert"),
        ("another's key", ["--tls-cert", cert, "--tls-key", other_key], "not the one of the certificate"),
        ("an expired certificate", ["--tls-cert", expired, "--tls-key", expired_key], "expired at 2020-01-02"),
        ("an encrypted key", ["--tls-cert", cert, "--tls-key", encrypted], "encrypted"),
        ("text for a certificate", ["--tls-cert", text, "--tls-key", key], "no PEM certificate"),
        ("text for a key", ["--tls-cert", cert, "--tls-key", text], "no PEM private key"),
        ("text for a client ca", [*tls, "--tls-client-ca", text], "no PEM certificate"),
        ("a missing file", ["--tls-cert", missing, "--tls-key", key], "cannot be read"),
        ("a directory", ["--tls-cert", cert, "--tls-key", directory], "no regular file"),
        ("missing tokens", ["--auth-token-file", missing], "cannot be read"),
        ("no tokens", ["--auth-token-file", empty], "holds no credential"),
        ("text for tokens", ["--auth-token-file", text], "line 1"),
        ("a token twice", ["--auth-token-file", repeated], "line 2: the token stands above already"),
        ("a bad pattern", ["--auth-token-file", bad_glob], "line 1"),
        ("an unknown kind", ["--auth-token-file", kind], "line 1"),
    ]


def test_unfit_credentials_are_exit_2_and_named(bin_dir, store, authority, tmp_path):
    for what, flags, message in bad_files(authority, tmp_path):
        for more in ([], ["--check-config"]):
            result = run(bin_dir, store, "--listen", "127.0.0.1:0", *flags, *more)
            assert (what, result.returncode) == (what, 2), result.stderr
            assert message in result.stderr, (what, result.stderr)
            assert "token-one-123456" not in result.stderr, what


def swap(link, directory):
    """Points `link` at another directory at once, as Kubernetes does with `..data`."""
    fresh = link.with_name(f"{link.name}.next")
    fresh.symlink_to(directory)
    fresh.rename(link)


class Rotation:
    """A server whose certificate lies behind a symlink; each rotation is by a swap and SIGHUP."""

    def __init__(self, server, store, authority, directory, tokens):
        self.authority, self.directory, self.data, self.count = authority, directory, directory / "..data", 0
        self.data.symlink_to(self.make())
        self.ca = directory / "ca.crt"
        self.ca.write_bytes(authority.ca.read_bytes())
        flags = ["--tls-cert", self.data / "tls.crt", "--tls-key", self.data / "tls.key"]
        self.server = server(store, *flags, "--auth-token-file", tokens, "--log-format", "json")

    def make(self):
        self.count += 1
        fresh = self.directory / f"..{self.count}"
        self.authority.server(fresh, f"server {self.count}")
        return fresh

    def look(self):
        os.kill(self.server.pid, signal.SIGHUP)

    def served(self):
        """The PEM certificate that a new connection meets."""
        host, port = self.server.address.rsplit(":", 1)
        return ssl.get_server_certificate((host, int(port)), ca_certs=str(self.ca), timeout=LIMIT_SECONDS)

    def rotate(self):
        fresh = self.make()
        swap(self.data, fresh)
        self.look()
        wanted = (fresh / "tls.crt").read_text()
        processes.wait_until(lambda: self.served().strip() == wanted.strip(), f"certificate {self.count} is served")


@pytest.fixture
def rotation(server, store, authority, files, tmp_path):
    return Rotation(server, store, authority, tmp_path, files["tokens"])


def test_certificates_are_replaced_under_load_without_a_failed_call(rotation):
    """A long-lived connection and one for each call, while the certificate changes again and again."""
    rounds = int(os.environ.get("TENSORD_CERT_ROTATIONS", "10"))
    request, stop, failures, counts = pb.GetTensorRequest(model="open", tensor="w"), threading.Event(), [], []

    def read(fresh_each_time):
        def connect():
            return secure_channel(rotation.server.address, rotation.ca)
        channel, count = connect(), 0
        while not stop.is_set():
            try:
                _, results = wire.collect(wire.rpc.TensorStoreStub(channel).GetTensor(
                    request, metadata=bearer(READER), timeout=LIMIT_SECONDS))
                assert bytes(results[0].data) == b"open"
                count += 1
            except (grpc.RpcError, AssertionError) as error:
                failures.append(error)
            if fresh_each_time:
                channel.close()
                channel = connect()
        channel.close()
        counts.append(count)

    readers = [threading.Thread(target=read, args=(fresh,)) for fresh in (False, True)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(rounds):
            rotation.rotate()
            time.sleep(1.1)  # Of like lines the log has one a second.
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert not failures, failures[:3]
    assert all(counts), counts
    processes.wait_until(lambda: rotation.server.log.count("credentials are replaced") == rounds, f"{rounds} replaced")


def test_a_bad_pair_never_replaces_a_good_one(rotation, authority):
    good = rotation.served()
    refusals = 0
    for spoil in ("mismatch", "vanish", "garbage", "expired"):
        bad = rotation.make()
        if spoil == "mismatch":
            shutil.copy(rotation.directory / "..1" / "tls.key", bad / "tls.key")
        elif spoil == "vanish":
            (bad / "tls.key").unlink()
        elif spoil == "garbage":
            (bad / "tls.crt").write_bytes(os.urandom(512))
        else:
            authority.issue("old", "DNS:localhost", bad / "tls.crt", bad / "tls.key", days=0)
        swap(rotation.data, bad)
        rotation.look()
        refusals += 1
        processes.wait_until(lambda: rotation.server.log.count("new credentials are refused") >= refusals,
                             f"{spoil} is refused")
        assert rotation.served() == good, spoil
    rotation.rotate()
    assert rotation.served() != good


def test_tokens_are_replaced_and_a_bad_file_replaces_nothing(server, store, tmp_path):
    tokens = tmp_path / "tokens"

    def put(text):
        fresh = tmp_path / "fresh"
        fresh.write_text(text)
        fresh.chmod(0o600)
        fresh.rename(tokens)

    put(f"{READER}\n")
    started = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", tokens, "--log-format", "json")
    with grpc.insecure_channel(started.address) as channel:
        def code(token):
            try:
                wire.rpc.TensorStoreStub(channel).ListModels(pb.ListModelsRequest(), metadata=bearer(token),
                                                             timeout=LIMIT_SECONDS)
                return grpc.StatusCode.OK
            except grpc.RpcError as error:
                return error.code()

        put(f"{HASHED}\n")
        os.kill(started.pid, signal.SIGHUP)
        processes.wait_until(lambda: code(HASHED) is grpc.StatusCode.OK, "the new token is good")
        assert code(READER) is grpc.StatusCode.UNAUTHENTICATED, "and the old one no longer"
        for number, bad in enumerate(("", "no token\n", f"{WRONG}\n{WRONG}\n"), start=1):
            put(bad)
            os.kill(started.pid, signal.SIGHUP)
            processes.wait_until(lambda: started.log.count("new credentials are refused") >= number, f"{bad!r} is refused")
            assert (code(HASHED), code(WRONG)) == (grpc.StatusCode.OK, grpc.StatusCode.UNAUTHENTICATED)


def test_secrets_that_others_can_read_are_warned_of(server, store, files, tmp_path):
    tokens, key = tmp_path / "tokens", tmp_path / "tls.key"
    tokens.write_text(TOKENS)
    key.write_bytes(files["key"].read_bytes())
    tokens.chmod(0o640)
    key.chmod(0o604)
    open_ones = server(store, "--auth-token-file", tokens, "--tls-cert", files["cert"], "--tls-key", key).log
    assert "--auth-token-file" in open_ones and "--tls-key" in open_ones and open_ones.count("0400 or 0600") == 2
    closed = server(store, "--auth-token-file", files["tokens"], "--tls-cert", files["cert"], "--tls-key", files["key"])
    assert "0400 or 0600" not in closed.log


def test_failed_handshakes_are_counted_and_told(server, store, files, authority, tmp_path):
    """With the peer and what was wrong, at most one line a second; who says nothing is none."""
    flags = ["--tls-cert", files["cert"], "--tls-key", files["key"], "--http-listen", "127.0.0.1:0", "--log-format", "json"]
    started = server(store, *flags, "--tls-client-ca", files["ca"])
    http = http_port.address_of(started)
    host, port = started.address.rsplit(":", 1)
    foreign = Authority(tmp_path / "foreign", "another authority")

    def num_failed():
        return http_port.value(http_port.get(http, "/metrics")[1], 'tensord_guard_closed_total{reason="handshake"}')

    def told():
        return [line["error"] for line in map(json.loads, started.log.splitlines()) if line["msg"] == "a TLS handshake failed"]

    def shake(data=None, ca=authority.ca, client=None, protocols=("h2",)):
        with socket.create_connection((host, int(port)), LIMIT_SECONDS) as connection:
            if data is not None:
                connection.sendall(data)
                while connection.recv(4096):
                    pass
                return
            context = ssl.create_default_context(cafile=ca)
            context.set_alpn_protocols(protocols)
            if client:
                context.load_cert_chain(*client)
            with context.wrap_socket(connection, server_hostname="localhost") as encrypted:
                encrypted.recv(1)

    rows = (({"data": b"GET / HTTP/1.1\r\n\r\n" + bytes(64)}, "http request"),
            ({}, "peer did not return a certificate"),
            ({"client": foreign.client("worker.example")}, "certificate verify failed: "),
            ({"ca": foreign.ca}, "alert unknown ca"),
            ({"client": authority.client("worker.example"), "protocols": ["http/1.1"]}, "HTTP/2"))
    num_tries = 0

    def is_told(how, error):
        nonlocal num_tries
        num_tries += 1
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            shake(**how)
        processes.wait_until(lambda: num_failed() == num_tries, f"{error}: one more is counted")
        return any(error in each for each in told())

    socket.create_connection((host, int(port)), LIMIT_SECONDS).close()
    for how, error in rows:
        processes.wait_until(lambda: is_told(how, error), f"{error} is told, once the second is over")
    with secure_channel(started.address, files["ca"], authority.client("worker.example")) as channel:
        assert rpcs.Method(rpcs.HEALTH, Check()).call(channel, b"")[0] is grpc.StatusCode.OK
    assert num_failed() == num_tries
    assert '"peer":"127.0.0.1"' in started.log


def test_refused_users_are_told(server, store, ctl, tmp_path):
    started = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--unix-allow-uid", os.getuid() + 4711, "--log-format", "json")
    assert ctl(started).run("--timeout", "1s", "models").returncode != 0

    def told():
        return [line for line in map(json.loads, started.log.splitlines()) if line["msg"] == "a connection is refused"]

    processes.wait_until(told, "the log says so")
    assert {(line["reason"], line["peer"]) for line in told()} == {("uid", f"uid:{os.getuid()}")}


def test_unix_sockets_take_the_allowed_users_only(server, store, ctl, tmp_path):
    mine, other = os.getuid(), os.getuid() + 4711
    for number, (flags, works) in enumerate(((["--unix-allow-uid", mine], True), (["--unix-allow-uid", other], False),
                                             (["--unix-allow-uid", other, "--unix-allow-uid", mine], True))):
        started = server(store, "--listen", f"unix:{tmp_path}/{number}.sock", *flags)
        result = ctl(started).run("models")
        assert (result.returncode == 0) == works, (flags, result.stderr)


def test_users_have_rights_on_unix_sockets(server, store, ctl, tmp_path):
    """By the user at the other end; a token that comes with the call decides alone."""
    mine, tokens, token = os.getuid(), tmp_path / "tokens", tmp_path / "token"
    token.write_text(f"{READER}\n")
    rows = ((f"uid:{mine} models=open", ["open"]), (f"uid:{mine + 4711}", None), (f"uid:{mine + 4711}\nuid:{mine}", ["open", "secret"]))
    for number, (text, shown) in enumerate(rows):
        tokens.write_text(f"{text}\n{READER}\n")
        tokens.chmod(0o600)
        started = server(store, "--listen", f"unix:{tmp_path}/{number}.sock", "--auth-token-file", tokens)
        own = ctl(started).run("models")
        if shown is None:
            assert own.returncode == 1 and b"UNAUTHENTICATED" in own.stderr, text
        else:
            names = ("open", "secret")
            assert [name for name in names if name.encode() in own.stdout] == shown, (text, own)
        assert "secret" in ctl(started).text("--token-file", token, "models"), "with a token that may read all"
        with grpc.insecure_channel(started.address) as channel:
            code, _, _ = rpcs.Method(rpcs.STORE, ListModels()).call(channel, b"", bearer(WRONG))
            assert code is grpc.StatusCode.UNAUTHENTICATED, "though the user is good"


class ListModels:
    """The descriptor of that RPC."""
    name, client_streaming, server_streaming = "ListModels", False, False


def test_metrics_name_no_models_where_callers_need_credentials(server, store, files, tmp_path):
    started = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", files["tokens"],
                     "--http-listen", "127.0.0.1:0", "--log-format", "json", "--preload", "secret/model")
    with grpc.insecure_channel(started.address) as channel:
        request = pb.GetTensorRequest(model="secret", tensor="w")
        wire.collect(wire.rpc.TensorStoreStub(channel).GetTensor(request, metadata=bearer(READER)))
    http = http_port.address_of(started)
    sent = 'tensord_sent_bytes_total{method="GetTensor",model="other"} 4'
    processes.wait_until(lambda: sent in http_port.get(http, "/metrics")[1], sent)
    for path in ("/metrics", "/readyz", "/startupz", "/livez"):
        assert not any(secret in http_port.get(http, path)[1] for secret in SECRETS), path


def test_tensorctl_speaks_tls_and_tokens(server, store, files, authority, ctl, tmp_path):
    token_file, wrong = tmp_path / "token", tmp_path / "wrong"
    token_file.write_text(f"{SCOPED}\n")
    wrong.write_text(WRONG)
    tls = ["--tls-cert", files["cert"], "--tls-key", files["key"]]
    address = server(store, *tls, "--auth-token-file", files["tokens"]).address
    with_ca = ["--tls-ca", files["ca"]]

    def run(*arguments, env=None):
        result = ctl(address).run(*arguments, env=env)
        told = result.stdout.decode() + result.stderr.decode()
        assert not any(token in told for token in (READER, SCOPED, HASHED, WRONG))
        return result.returncode, told

    code, told = run(*with_ca, "--token-file", token_file, "get", "open", "w", "-o", "-")
    assert (code, told) == (0, "open")
    code, told = run("models", env={"TENSORD_TLS_CA": str(files["ca"]), "TENSORD_TOKEN_FILE": str(token_file)})
    assert code == 0 and "open" in told and "secret" not in told
    for arguments, wanted, message in (
            ([*with_ca, "models"], 1, "UNAUTHENTICATED"),
            ([*with_ca, "--token-file", wrong, "models"], 1, "UNAUTHENTICATED"),
            ([*with_ca, "--token-file", token_file, "show", "secret"], 1, "PERMISSION_DENIED"),
            (["--token-file", token_file, "models"], 2, "would travel unencrypted"),
            (["models"], 3, "no connection"),
            (["--tls-ca", tmp_path / "missing", "models"], 2, "cannot be read"),
            (["--tls-ca", Authority(tmp_path / "other").ca, "--token-file", token_file, "models"], 3, "no connection")):
        code, told = run(*arguments)
        assert code == wanted and message in told, (arguments, code, told)


def test_a_client_that_runs_takes_replaced_authorities_and_tokens(server, store, bin_dir, tmp_path):
    """A read that is broken by the server's end goes on at another one, whose authority and token have replaced the former."""
    size = 256 << 20
    stores.write_raw(tmp_path / "large" / "m.safetensors", {"w": ("U8", (size,), bytes(size))})
    ca, token = tmp_path / "ca.crt", tmp_path / "token"

    def replace(path, content):
        fresh = path.with_suffix(".fresh")
        fresh.write_bytes(content)
        fresh.chmod(0o600)
        fresh.rename(path)

    def serve(name, address):
        authority = Authority(tmp_path / name, name)
        cert, key = authority.server(tmp_path / f"{name}-server")
        tokens = tmp_path / f"{name}-tokens"
        replace(tokens, f"{name}-token-0123456789\n".encode())
        replace(ca, authority.ca.read_bytes())
        replace(token, f"{name}-token-0123456789\n".encode())
        return server(tmp_path / "large", "--listen", address, "--tls-cert", cert, "--tls-key", key, "--auth-token-file", tokens)

    first = serve("former", "127.0.0.1:0")
    command = [str(bin_dir / "tensorctl"), "-s", first.address, "--tls-ca", str(ca), "--token-file", str(token), "get", "m", "w", "-o", "-"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as reader:
        got = len(reader.stdout.read(1 << 20))
        first.process.terminate()
        first.process.wait(LIMIT_SECONDS)
        serve("latter", first.address)
        while data := reader.stdout.read(1 << 20):
            got += len(data)
        told = reader.stderr.read()
        assert (reader.wait(LIMIT_SECONDS), got) == (0, size), told


def test_tensorctl_shows_its_own_certificate(server, store, files, authority, ctl):
    address = server(store, "--tls-cert", files["cert"], "--tls-key", files["key"], "--tls-client-ca", files["ca"]).address
    cert, key = authority.client("ctl.example")
    own = ["--tls-ca", files["ca"], "--tls-cert", cert, "--tls-key", key]
    assert "secret" in ctl(address).text(*own, "models")
    # gRPC's threads still shake hands when the command ends: it crashed there one time in ten.
    ends = [ctl(address).run("--timeout", "300ms", "--tls-ca", files["ca"], "models").returncode for _ in range(20)]
    assert set(ends) <= {3, 4}


def test_a_token_is_not_wanted_where_nobody_asks_for_one(server, store, ctl, tmp_path):
    token_file = tmp_path / "token"
    token_file.write_text(SCOPED)
    started = server(store, "--listen", f"unix:{tmp_path}/s.sock")
    assert "secret" in ctl(started).text("--token-file", token_file, "models")


def test_neither_logs_nor_errors_tell_tokens_paths_or_peers(server, store, files, methods, tmp_path):
    """All RPCs with good and bad credentials, bad requests and unknown names: what is logged and answered meanwhile."""
    started = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", files["tokens"],
                     "--log-format", "json", "--log-level", "debug")
    told = []
    with grpc.insecure_channel(started.address) as channel:
        for token, (path, method) in itertools.product((READER, SCOPED, WRONG), methods.items()):
            for model, tensor, file in (("open", "w", "config.json"), ("open", "no", "no"), ("../open", "w", "../../etc/passwd"),
                                        ("secret", "w", "config.json")):
                request = rpcs.requests(model, tensor, file)[path]
                for sent in (request, b"\xff" + request):
                    told.append(method.call(channel, sent, bearer(token))[1])
        assert len([text for text in told if text]) > 100
    assert started.stop() == 0
    for text in told:
        assert not any(secret in text for secret in (READER, SCOPED, HASHED, WRONG))
        assert str(store) not in text and str(tmp_path) not in text and "/etc/passwd" not in text.replace(
            '"../../etc/passwd"', ""), text
        assert not re.search(r"\b127\.0\.0\.1|\bunix:|\bfd:\d", text), text
    assert not any(token in started.log for token in (READER, SCOPED, HASHED, WRONG))
    answering = started.log[started.log.index("listening address"):]  # Before that the operator is told his own flags.
    assert str(store) not in answering
