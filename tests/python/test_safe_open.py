"""safe_open and load_file: the reference's methods, over TCP and a Unix socket."""

import os
import pathlib
import pickle

import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file as reference_load_file

import tensord


@pytest.fixture(params=["tcp", "unix"])
def any_url(request, url, unix_url):
    return {"tcp": url, "unix": unix_url}[request.param]


def test_every_method_answers_as_the_reference_does(any_url, store, tensors):
    path = store / "org/small/model.safetensors"
    with tensord.safe_open(any_url, framework="np") as ours, safetensors.safe_open(path, framework="np") as theirs:
        assert ours.keys() == theirs.keys()
        assert ours.offset_keys() == theirs.offset_keys()
        assert ours.metadata() == theirs.metadata()
        for name in theirs.keys():
            assert ours.get_slice(name).get_shape() == theirs.get_slice(name).get_shape()
            assert ours.get_slice(name).get_dtype() == theirs.get_slice(name).get_dtype()
            assert ours.get_shape(name) == list(tensors[name].shape)
            assert ours.get_dtype(name) == theirs.get_slice(name).get_dtype()
            got, want = ours.get_tensor(name), theirs.get_tensor(name)
            assert got.dtype == want.dtype and got.shape == want.shape
            np.testing.assert_array_equal(got, want)
        assert set(ours.get_tensors()) == set(theirs.keys())


def test_a_path_object_names_a_server_too(url, unix_url):
    for text in (url, unix_url):
        with tensord.safe_open(pathlib.Path(text), framework="np") as f:
            assert f.get_tensor("scalar") == 7.5


def test_file_without_metadata_has_none(running):
    with tensord.safe_open(f"tensord://{running.address}/plain", framework="np") as f:
        assert f.metadata() is None


def test_load_file_is_the_reference_s(any_url, store):
    want = reference_load_file(store / "org/small/model.safetensors")
    for got in (tensord.load_file(any_url), __import__("tensord.numpy", fromlist=["x"]).load_file(any_url)):
        assert got.keys() == want.keys()
        for name in want:
            np.testing.assert_array_equal(got[name], want[name])


def test_tensors_are_writable_and_share_no_memory(url):
    state = tensord.load_file(url)
    state["wte.weight"][:] = 0
    assert tensord.load_file(url)["wte.weight"].any()
    assert not np.shares_memory(state["h.2.w"], state["h.10.w"])


def test_a_local_path_goes_to_safetensors(store):
    path = store / "plain.safetensors"
    with tensord.safe_open(path, framework="np") as f:
        assert type(f) is type(safetensors.safe_open(path, framework="np"))
    assert tensord.load_file(path)["x"].sum() == 45


def test_default_address_comes_from_the_environment(running, monkeypatch):
    monkeypatch.setenv("TENSORD_ADDRESS", running.address)
    assert tensord.load_file("tensord:///plain")["x"].sum() == 45
    assert [m.id for m in tensord.Client().list_models("plain")] == ["plain"]


def test_a_unix_socket_may_have_any_name(running, socket_path, tmp_path):
    odd = tmp_path / "no-suffix"
    os.symlink(socket_path, odd)
    assert tensord.load_file(f"tensord+unix://{odd}/plain")["x"].sum() == 45
    encoded = str(odd).replace("/", "%2F")
    assert tensord.load_file(f"tensord+unix://{encoded}/plain")["x"].sum() == 45


@pytest.mark.parametrize("text, address, model", [
    ("tensord://weights:7070/gpt2", "weights:7070", "gpt2"),
    ("tensord://[::1]:7070/org/m@main", "[::1]:7070", "org/m@main"),
    ("tensord://h:1", "h:1", ""),
    ("tensord+unix:///run/tensord/tensord.sock/org/model", "unix:/run/tensord/tensord.sock", "org/model"),
    ("tensord+unix:///run/t.sock", "unix:/run/t.sock", ""),
    ("tensord+unix://%2Frun%2Ft/m", "unix:/run/t", "m"),
])
def test_urls_split_into_address_and_model(text, address, model):
    assert tensord.parse_url(text) == (address, model)


@pytest.mark.parametrize("text", ["http://h/m", "/plain/path", "tensord+unix:///no/socket/here"])
def test_what_is_no_url_is_refused(text):
    with pytest.raises(ValueError):
        tensord.parse_url(text)


def test_unknown_names_raise_what_python_code_expects(url, running):
    with pytest.raises(FileNotFoundError) as no_model:
        tensord.safe_open(f"tensord://{running.address}/org/smoll", framework="np")
    assert no_model.value.code == "NOT_FOUND" and no_model.value.reason == "MODEL_NOT_FOUND"
    assert "org/small" in str(no_model.value), "the closest name is proposed"
    with tensord.safe_open(url, framework="np") as f:
        for method in (f.get_tensor, f.get_slice, f.get_shape, f.get_dtype):
            with pytest.raises(KeyError) as no_tensor:
                method("wte.wait")
            assert isinstance(no_tensor.value, tensord.TensorNotFoundError)
            assert isinstance(no_tensor.value, safetensors.SafetensorError)
            assert no_tensor.value.reason == "TENSOR_NOT_FOUND" and "wte.wait" in str(no_tensor.value)


def test_errors_survive_pickling(url):
    with tensord.safe_open(url, framework="np") as f, pytest.raises(KeyError) as raised:
        f.get_tensor("nothing")
    copy = pickle.loads(pickle.dumps(raised.value))
    assert isinstance(copy, tensord.TensorNotFoundError) and copy.reason == "TENSOR_NOT_FOUND"
    assert str(copy) == str(raised.value)


def test_index_errors_are_index_errors(url):
    with tensord.safe_open(url, framework="np") as f:
        part = f.get_slice("wte.weight")
        with pytest.raises(IndexError) as outside:
            part[96]
        assert outside.value.reason == "INDEX_OUT_OF_BOUNDS"
        for bad in ((0, 0, 0), slice(None, None, 0), 1.5, "x", True, [[0]]):
            with pytest.raises(IndexError):
                part[bad]
        with pytest.raises(IndexError):
            f.get_slice("scalar")[0]


def test_nobody_there_is_a_connection_error(tmp_path):
    with pytest.raises(ConnectionError) as raised:
        tensord.safe_open(f"tensord+unix://{tmp_path}/none.sock/m", framework="np", connect_timeout=0.2)
    assert raised.value.code == "UNAVAILABLE" and "none.sock" in str(raised.value)


def test_a_timeout_is_a_timeout_error(url):
    with pytest.raises(TimeoutError):
        tensord.Client(url, timeout=1e-9).list_models()


def test_use_after_close_says_so(url):
    with tensord.safe_open(url, framework="np") as f:
        part = f.get_slice("scalar")
    for use in (f.keys, f.metadata, f.get_tensors, lambda: f.get_tensor("scalar"), lambda: part[()]):
        with pytest.raises(tensord.FileClosedError, match="File is closed"):
            use()


def test_unknown_framework_and_backend_are_refused(url):
    with pytest.raises(tensord.TensordError, match="framework nope is invalid"):
        tensord.safe_open(url, framework="nope")
    with pytest.raises(ValueError):
        tensord.safe_open(url, framework="np", backend="carrier pigeon")
