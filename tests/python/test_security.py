"""TLS, certificates and tokens: as arguments and from the environment, as tensorctl takes them."""

import sys
import traceback

import numpy as np
import pytest
from certificates import Authority
from safetensors.numpy import save_file

import tensord
from tensord import aio

TOKEN = "reader-of-everything-7f3a"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def guarded(module_server, authority, tmp_path_factory):
    """A server that speaks TLS, asks for tokens, and also listens on a Unix socket."""
    directory = tmp_path_factory.mktemp("guarded")
    save_file({"x": np.arange(3)}, directory / "m.safetensors")
    (directory / "token").write_text(TOKEN + "\n")
    (directory / "token").chmod(0o600)
    cert, key = authority.server(directory / "credentials")
    server = module_server(directory, "--tls-cert", cert, "--tls-key", key, "--auth-token-file", directory / "token",
                           "--listen", "127.0.0.1:0", "--listen", f"unix:{directory}/t.sock")
    server.token_file, server.socket = directory / "token", directory / "t.sock"
    return server


@pytest.fixture(scope="module")
def certified(module_server, authority, tmp_path_factory):
    """One that asks for the client's certificate."""
    directory = tmp_path_factory.mktemp("certified")
    save_file({"x": np.arange(3)}, directory / "m.safetensors")
    cert, key = authority.server(directory / "credentials")
    return module_server(directory, "--tls-cert", cert, "--tls-key", key, "--tls-client-ca", authority.ca)


def sum_of(address, **options):
    return int(tensord.load_file(f"tensord://{address}/m", connect_timeout=5, **options)["x"].sum())


def test_tls_and_token_as_arguments(guarded, authority):
    assert sum_of(guarded.address, tls_ca=authority.ca, token=TOKEN) == 3
    assert sum_of(guarded.address, tls_ca=str(authority.ca), token_file=guarded.token_file) == 3
    with tensord.Client(guarded.address, tls_ca=authority.ca, token=TOKEN) as client:
        assert client.get_tensor("x", model="m").sum() == 3


def test_tls_and_token_from_the_environment(guarded, authority, monkeypatch):
    monkeypatch.setenv("TENSORD_ADDRESS", guarded.address)
    monkeypatch.setenv("TENSORD_TLS_CA", str(authority.ca))
    monkeypatch.setenv("TENSORD_TOKEN_FILE", str(guarded.token_file))
    assert tensord.load_file("tensord:///m")["x"].sum() == 3
    with pytest.raises(PermissionError):
        tensord.load_file("tensord:///m", token="another-one-1234567890")
    with pytest.raises(PermissionError):
        tensord.load_file("tensord:///m", token_file="")


def test_a_client_s_own_certificate(certified, authority, monkeypatch):
    cert, key = authority.client("worker")
    assert sum_of(certified.address, tls_ca=authority.ca, tls_cert=cert, tls_key=key) == 3
    monkeypatch.setenv("TENSORD_TLS_CERT", str(cert))
    monkeypatch.setenv("TENSORD_TLS_KEY", str(key))
    assert sum_of(certified.address, tls_ca=authority.ca) == 3
    with pytest.raises(ConnectionError):
        sum_of(certified.address, tls_ca=authority.ca, tls_cert="", tls_key="", retry=False)


def test_a_token_travels_over_unix_sockets(guarded):
    with tensord.Client(f"unix:{guarded.socket}", token=TOKEN) as client:
        assert client.get_tensor("x", model="m").sum() == 3
    with pytest.raises(PermissionError) as raised:
        tensord.Client(f"unix:{guarded.socket}").list_models()
    assert raised.value.code == "UNAUTHENTICATED"


def test_a_token_never_travels_in_the_clear(guarded, monkeypatch):
    for options in ({"token": TOKEN}, {"token_file": guarded.token_file}):
        with pytest.raises(ValueError, match="unencrypted"):
            tensord.Client(guarded.address, **options)
    monkeypatch.setenv("TENSORD_TOKEN_FILE", str(guarded.token_file))
    with pytest.raises(ValueError, match="unencrypted"):
        tensord.load_file(f"tensord://{guarded.address}/m")


def test_no_text_of_ours_shows_the_token(guarded, authority):
    client = tensord.Client(guarded.address, tls_ca=authority.ca, token=TOKEN)
    shown = [repr(client), repr(vars(client))]
    for wrong in ({"token": TOKEN, "token_file": "/nowhere"}, {"token": f"{TOKEN}\nx"}, {"token": TOKEN, "tls_cert": "c"}):
        with pytest.raises(ValueError):
            tensord.Client(guarded.address, tls_ca=authority.ca, **wrong)
        shown.append(traceback.format_exc() + str(sys.exc_info()))
    try:
        tensord.Client(guarded.address, token=TOKEN)
    except ValueError as error:
        shown.append(str(error) + repr(error))
    assert not [text for text in shown if TOKEN in text]


def test_an_unknown_authority_is_a_connection_error_that_says_so(guarded, tmp_path):
    stranger = Authority(tmp_path / "stranger").ca
    with pytest.raises(ConnectionError) as raised:
        tensord.Client(guarded.address, tls_ca=stranger, token=TOKEN, connect_timeout=1).list_models()
    assert guarded.address in str(raised.value)


def test_files_that_cannot_be_used_are_named(guarded, authority, tmp_path):
    (tmp_path / "no.pem").write_text("nothing")
    for wrong in ({"tls_ca": tmp_path / "no.pem"}, {"tls_ca": tmp_path / "absent"},
                  {"tls_ca": authority.ca, "tls_cert": tmp_path / "no.pem", "tls_key": tmp_path / "no.pem"}):
        with pytest.raises((ValueError, OSError)) as raised:
            tensord.Client(guarded.address, **wrong)
        assert str(tmp_path) in str(raised.value)


def test_snapshots_and_asyncio_take_the_same_options(guarded, authority, run_program):
    import asyncio

    async def read():
        async with aio.Client(guarded.address, tls_ca=authority.ca, token=TOKEN) as client:
            return (await client.get_tensor("x", model="m")).sum()

    assert asyncio.run(read()) == 3
    assert "3" in run_program("""
import sys
import tensord
import safetensors.numpy
tensord.patch()
directory = tensord.snapshot(sys.argv[1], tls_ca=sys.argv[2], token=sys.argv[3])
print(safetensors.numpy.load_file(f"{directory}/m.safetensors")["x"].sum())
""", f"tensord://{guarded.address}/m", authority.ca, TOKEN)
