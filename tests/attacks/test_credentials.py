"""Credential files that are traps, chains of certificates, and what is told to whom (T11, T12, T14, T15)."""
import os
import subprocess

import grpc
import pytest
import rpcs
from certificates import Authority
from wire import pb, rpc

from big_store import make_store
from wire_fuzz import answers

LIMIT_SECONDS = 60
TOKEN, WRONG = "reader-of-everything-7f3a", "no-such-token-0000"
MIB = 1 << 20


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_store(tmp_path_factory.mktemp("credentials") / "store")


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


def token_file(path, text=f"{TOKEN}\n"):
    path.write_bytes(text.encode())
    path.chmod(0o600)
    return path


def bearer(token):
    return [("authorization", f"Bearer {token}")]


def list_models(channel, metadata=(), **options):
    """The status of the call."""
    try:
        rpc.TensorStoreStub(channel).ListModels(pb.ListModelsRequest(), metadata=metadata, timeout=LIMIT_SECONDS, **options)
        return grpc.StatusCode.OK
    except grpc.RpcError as error:
        return error.code()


def refused(bin_dir, store, *flags):
    """What a server that has to end with 2 says."""
    ended = subprocess.run([str(bin_dir / "tensord"), "--store", str(store), "--listen", "127.0.0.1:0", *map(str, flags)],
                           stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    assert ended.returncode == 2, ended.stderr
    return ended.stderr


def test_files_that_are_traps_are_refused_at_once(bin_dir, store, authority, tmp_path):
    """Endless, huge, or never answered: as token file, certificate, key and authority."""
    cert, key = authority.server(tmp_path / "good")
    fifo, huge, long_line = tmp_path / "fifo", tmp_path / "huge", tmp_path / "line"
    os.mkfifo(fifo)
    with open(huge, "wb") as file:
        file.truncate(100 * MIB)
    token_file(long_line, f"{TOKEN}\n{'a' * 10 * MIB}\n")
    for bad, why in ((fifo, "no regular file"), (huge, "larger than"), (long_line, "larger than"),
                     ("/dev/zero", "no regular file"), ("/proc/self/mem", "cannot be read"), (tmp_path, "no regular file")):
        for flags in (["--auth-token-file", bad], ["--tls-cert", bad, "--tls-key", key], ["--tls-cert", cert, "--tls-key", bad],
                      ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", bad]):
            assert why in refused(bin_dir, store, *flags), (bad, flags)
    assert "line 2" in refused(bin_dir, store, "--auth-token-file", token_file(tmp_path / "t", f"{TOKEN}\n{'a' * 100_000}\n"))


def test_a_trap_in_the_place_of_good_files_replaces_nothing(server, store, tmp_path):
    tokens = token_file(tmp_path / "tokens")
    running = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", tokens, "--log-format", "json")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "fifo").rename(tokens)
    os.kill(running.pid, 1)
    with grpc.insecure_channel(running.address) as channel:
        assert list_models(channel, bearer(TOKEN)) is grpc.StatusCode.OK
        assert list_models(channel, bearer(WRONG)) is grpc.StatusCode.UNAUTHENTICATED


def test_files_written_on_windows_hold_the_same_tokens(server, store, ctl, tmp_path):
    tokens = token_file(tmp_path / "tokens", f"# who\r\n{TOKEN}\r\n\r\nanother-token-1234 models=no-such\r\n")
    running = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", tokens)
    with grpc.insecure_channel(running.address) as channel:
        assert list_models(channel, bearer(TOKEN)) is grpc.StatusCode.OK
    own = token_file(tmp_path / "own", f"{TOKEN}\r\n")
    assert "big" in ctl(running).text("--token-file", own, "models")


def test_sockets_without_a_file_are_refused(bin_dir, store):
    """Nothing says who may connect to them."""
    for address in ("unix-abstract:tensord", "unix-abstract:50051"):
        assert "no file whose mode" in refused(bin_dir, store, "--listen", address)


def test_chains_with_an_intermediate_authority_are_shown_and_taken(server, store, ctl, authority, tmp_path):
    """The server's is shown whole, so that clients need to know the root only; the clients' likewise."""
    between = authority.intermediate(tmp_path / "between")

    def chain(made, path):
        path.write_bytes(made[0].read_bytes() + between.ca.read_bytes())
        return path, made[1]

    cert, key = chain(between.server(tmp_path / "server"), tmp_path / "server.chain")
    own, own_key = chain(between.client("worker"), tmp_path / "client.chain")
    running = server(store, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.ca)
    command = ["--tls-ca", authority.ca, "--tls-cert", own, "--tls-key", own_key, "models"]
    assert "big" in ctl(running).text(*command)
    alone, alone_key = between.client("alone")
    assert ctl(running).run("--timeout", "3s", "--tls-ca", authority.ca, "--tls-cert", alone, "--tls-key", alone_key,
                            "models").returncode == 3, "a chain with a gap"


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
def test_compressed_requests_are_refused_unopened(server, store, compression):
    running = server(store)
    bomb = pb.ListModelsRequest(filter="x" * 64 * MIB)
    with grpc.insecure_channel(running.address) as channel:
        assert list_models(channel, compression=compression) is grpc.StatusCode.UNIMPLEMENTED
        with pytest.raises(grpc.RpcError) as error:
            rpc.TensorStoreStub(channel).ListModels(bomb, compression=compression, timeout=LIMIT_SECONDS)
        assert error.value.code() is grpc.StatusCode.UNIMPLEMENTED
        assert list_models(channel) is grpc.StatusCode.OK


def reflect(channel, metadata=(), **fields):
    """(status, details) or the answer."""
    ask = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
    try:
        answer, = ask(iter([rpcs.ReflectionRequest(**fields).SerializeToString()]), metadata=metadata, timeout=LIMIT_SECONDS)
        return rpcs.ReflectionResponse.FromString(answer)
    except grpc.RpcError as error:
        return error.code(), error.details()


def test_reflection_and_unknown_methods_tell_strangers_nothing(server, store, tmp_path):
    running = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", token_file(tmp_path / "tokens"))
    with grpc.insecure_channel(running.address) as channel:
        told = {reflect(channel, metadata, file_containing_symbol=symbol) for metadata in ([], bearer(WRONG))
                for symbol in ("tensord.v1.TensorStore", "no.such.Symbol", "grpc.health.v1.Health", "")}
        assert {code for code, _ in told} == {grpc.StatusCode.UNAUTHENTICATED}
        assert len(told) == 2, "one for who shows nothing, one for who shows something wrong"
        assert reflect(channel, bearer(TOKEN), file_containing_symbol="tensord.v1.TensorStore").file_descriptor_response


def test_a_reflection_request_names_something_short(server, store):
    running = server(store)
    with grpc.insecure_channel(running.address) as channel:
        code, details = reflect(channel, host="h" * 5000, list_services="")
        assert code is grpc.StatusCode.INVALID_ARGUMENT and "limit is 4096" in details
        assert reflect(channel, host="h" * 3000, list_services="").valid_host == "h" * 3000


def test_no_setting_of_grpc_logs_tokens(server, store, tmp_path):
    running = server(store, "--listen", f"unix:{tmp_path}/s.sock", "--auth-token-file", token_file(tmp_path / "tokens"),
                     "--log-level", "debug", env={**os.environ, "GRPC_VERBOSITY": "debug", "GRPC_TRACE": "all"})
    with grpc.insecure_channel(running.address) as channel:
        assert list_models(channel, bearer(TOKEN)) is grpc.StatusCode.OK
        assert list_models(channel, bearer(WRONG)) is grpc.StatusCode.UNAUTHENTICATED
    assert answers(running.address)
    assert running.stop() == 0
    assert "GRPC_TRACE is ignored" in running.log
    assert TOKEN not in running.log and WRONG not in running.log
