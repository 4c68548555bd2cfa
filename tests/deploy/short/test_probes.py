"""The probes of the manifests and of grpc-health-probe, asked of the real server."""
import socket
import subprocess

import pytest

from commands import TOOLS, run
from daemon import BIN, Daemon, make_sample_store
from manifests import KUBERNETES, OVERLAYS, containers, render, workloads

PROBE = TOOLS / "grpc-health-probe"
READINESS = "tensord.v1.TensorStore"


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return make_sample_store(tmp_path_factory.mktemp("probes") / "store")


@pytest.fixture
def daemon(store):
    """daemon(*flags): a server that lives for one test."""
    started = []

    def start(*flags):
        started.append(Daemon(store, *flags))
        return started[-1]

    yield start
    assert [each.stop() for each in started] == [0] * len(started)


def exit_codes(address, service, *probe_flags, tls_ca=None):
    """Those of grpc-health-probe and of `tensorctl probe`, which mean the same."""
    theirs = run(PROBE, f"-addr={address}", f"-service={service}", *probe_flags)
    ours = run(BIN / "tensorctl", "--server", address, *(("--tls-ca", tls_ca) if tls_ca else ()), "probe", "--service", service)
    return theirs.returncode, ours.returncode


def test_ready_is_0(daemon):
    server = daemon()
    assert exit_codes(server.address, "") == exit_codes(server.address, READINESS) == (0, 0)


def test_a_unix_socket_is_probed_alike(daemon, tmp_path):
    address = f"unix:{tmp_path}/tensord.sock"
    daemon("--listen", address)
    assert exit_codes(address, "") == exit_codes(address, READINESS) == (0, 0)


def test_alive_but_not_ready_is_0_and_4(daemon):
    server = daemon("--preload", "missing")
    assert exit_codes(server.address, "") == (0, 0)
    assert exit_codes(server.address, READINESS) == (4, 4)


def test_an_unknown_service_is_3_and_nobody_there_2(daemon):
    assert exit_codes(daemon().address, "nonsense") == (3, 3)
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        assert exit_codes(f"127.0.0.1:{closed.getsockname()[1]}", READINESS) == (2, 2)


def test_health_is_answered_over_tls_and_without_a_token(daemon, tmp_path):
    certificate, key, tokens = tmp_path / "tls.crt", tmp_path / "tls.key", tmp_path / "tokens"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate],
                   check=True, capture_output=True)
    tokens.write_text("0123456789abcdef\n")
    server = daemon("--tls-cert", certificate, "--tls-key", key, "--auth-token-file", tokens)
    assert exit_codes(server.address, READINESS, "-tls", f"-tls-ca-cert={certificate}", tls_ca=certificate) == (0, 0)
    assert exit_codes(server.address, READINESS) == (2, 2)


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_every_path_that_a_manifest_probes_is_answered(daemon, overlay):
    server = daemon()
    paths = {probe["httpGet"]["path"] for workload in workloads(render(KUBERNETES / "overlays" / overlay)).values()
             for container in containers(workload).values() for name, probe in container.items() if name.endswith("Probe")}
    assert paths == {"/startupz", "/livez", "/readyz"}
    assert {path: server.get(path) for path in paths} == {path: (200, "ok\n") for path in paths}
