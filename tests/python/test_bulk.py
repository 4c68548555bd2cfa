"""Many tensors at once: into new or given memory, by pattern, sharded, files, progress."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import tensord
from tensord import Read, Shard


@pytest.fixture
def client(url):
    with tensord.Client(url) as client:
        yield client


def test_read_many_into_new_memory(client, tensors):
    got = client.read_many({"wte.weight": None, "h.2.w": np.s_[1:3, ..., 0], "scalar": None, "empty": None})
    np.testing.assert_array_equal(got["wte.weight"], tensors["wte.weight"])
    np.testing.assert_array_equal(got["h.2.w"], tensors["h.2.w"][1:3, ..., 0])
    assert got["scalar"].shape == () and got["empty"].shape == (0, 5)


def test_read_many_into_given_memory_of_every_kind(client, tensors):
    want = tensors["wte.weight"]
    dense, padded = np.zeros_like(want), np.full((96, 80), -1, np.float32)
    raw, flat = bytearray(want.nbytes), np.zeros(want.nbytes, np.uint8)
    outs = [dense, padded[:, 8:72], raw, flat]
    got = client.read_many([Read("wte.weight", out=out) for out in outs])
    assert all(a is b for a, b in zip(got, outs, strict=True))
    np.testing.assert_array_equal(dense, want)
    np.testing.assert_array_equal(padded[:, 8:72], want)
    assert (padded[:, :8] == -1).all() and (padded[:, 72:] == -1).all(), "the gaps are left alone"
    assert bytes(raw) == flat.tobytes() == want.tobytes()


def test_read_many_by_name_into_memory(client, tensors):
    state = {"wte.weight": np.empty((96, 64), np.float32), "h.10.w": np.empty((7, 3), np.int64)}
    assert client.read_many(state)["h.10.w"] is state["h.10.w"]
    np.testing.assert_array_equal(state["h.10.w"], tensors["h.10.w"])


def test_a_slice_with_new_axes_into_strided_memory(client, tensors):
    out = np.zeros((2, 1, 64), np.float32)
    client.read_many([Read("wte.weight", np.s_[3:5, None], out)])
    np.testing.assert_array_equal(out, tensors["wte.weight"][3:5, None])


@pytest.mark.parametrize("out, why", [
    (np.zeros((64, 96), np.float32), "shape"), (np.zeros((96, 64), np.int32), "dtype"),
    (np.zeros((96, 128), np.float32)[:, ::-2], "stride"), (bytearray(5), "5"),
])
def test_memory_that_does_not_fit_is_refused_before_anything_is_read(client, out, why):
    with pytest.raises(ValueError, match=why):
        client.read_many([Read("wte.weight", out=out)])
    assert not np.asarray(out).any()


def test_read_only_memory_is_refused(client):
    out = np.zeros((96, 64), np.float32)
    out.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        client.read_many([Read("wte.weight", out=out)])


def test_an_unknown_tensor_fails_the_whole_call(client):
    with pytest.raises(KeyError):
        client.read_many(["scalar", "nothing"] and {"scalar": None, "nothing": None})


def test_iterate_yields_matches_in_natural_order(client, tensors):
    got = list(client.iterate("h.*"))
    assert [name for name, _ in got] == ["h.2.w", "h.10.w"]
    for name, array in got:
        np.testing.assert_array_equal(array, tensors[name])


@pytest.mark.parametrize("window_bytes", [1, 200, 1 << 30])
def test_iterate_yields_everything_once_whatever_the_window(client, tensors, window_bytes):
    got = dict(client.iterate(["*.w", "*", "h.*"], window_bytes=window_bytes))
    assert got.keys() == tensors.keys()
    for name in tensors:
        np.testing.assert_array_equal(got[name], tensors[name])


def test_iterate_may_be_left_early(client):
    for _ in client.iterate(window_bytes=1):
        break
    assert client.get_tensor("scalar") == 7.5


def test_a_pattern_without_match_says_so(client):
    with pytest.raises(KeyError):
        list(client.iterate("nope*"))


def test_iterate_slices_each_match(client, tensors):
    for name, array in client.iterate("h.*", index=np.s_[..., :2]):
        np.testing.assert_array_equal(array, tensors[name][..., :2])


@pytest.mark.parametrize("world", [1, 2, 4])
def test_shards_of_all_ranks_make_the_model(url, tensors, world):
    parts = [tensord.load_file(url, shard=(0, rank, world)) if world != 4 else
             tensord.load_file(url, shard=(0, Shard(rank, world, allow_uneven=True)))
             for rank in range(world)] if world != 2 else [
             tensord.load_file(url, shard=(0, Shard(rank, world, multiple=2))) for rank in range(world)]
    for name, whole in tensors.items():
        joined = np.concatenate([part[name] for part in parts]) if whole.ndim else parts[0][name]
        np.testing.assert_array_equal(joined, whole)


def test_a_padded_shard_cuts_as_if_the_dimension_were_longer(client, tensors):
    got = client.load("wte.weight", shard=(-1, Shard(1, 2, padded_size=96)))["wte.weight"]
    np.testing.assert_array_equal(got, tensors["wte.weight"][:, 48:])


def test_a_shard_moves_only_its_bytes(client):
    client.load("wte.weight", shard=(1, 0, 16))
    assert client.bytes_received == 96 * 4 * 4


def test_progress_ends_with_everything(client, tensors):
    seen = []
    client.read_many({name: None for name in tensors}, progress=lambda done, size: seen.append((done, size)))
    size = sum(array.nbytes for array in tensors.values())
    assert seen[-1] == (size, size) and seen == sorted(seen)


def test_progress_bar_is_drawn(client, capfd):
    client.load(progress=True)
    assert "100%" in capfd.readouterr().err


def test_what_progress_raises_ends_the_call(client):
    def stop(done, size):
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        client.load(progress=stop)
    assert client.get_tensor("scalar") == 7.5, "the client goes on"


def test_files_arrive_byte_for_byte(client, store, tmp_path):
    assert json.loads(client.read_file("config.json")) == {"hidden": 64}
    original = (store / "org/small/model.safetensors").read_bytes()
    assert client.read_file("model.safetensors", offset=3, length=50) == original[3:53]
    description = client.download("model.safetensors", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == original and description.size_bytes == len(original)
    with pytest.raises(FileNotFoundError) as raised:
        client.download("nothing.json", tmp_path / "nothing")
    assert raised.value.reason == "FILE_NOT_FOUND"
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_listings(client, running, tensors):
    assert [m.id for m in client.list_models("org/*")] == ["org/small/model"]
    info = client.get_metadata()
    assert (info.state, info.num_tensors, info.num_files) == ("READY", len(tensors), 1)
    assert [side.name for side in info.side_files] == ["config.json"]
    listed = client.list_tensors("*.w", dtypes=["F16"])
    assert [(t.name, t.dtype, t.shape) for t in listed.tensors] == [("h.2.w", "F16", (4, 6, 5))]
    with pytest.raises(ValueError, match="no model"):
        tensord.Client(running.address).get_tensor("x")


def test_reads_are_pinned_to_the_version_that_was_opened(server, tmp_path):
    """Replaced by rename, as a new model is published; other size, so that no clock decides."""
    path = tmp_path / "m.safetensors"
    save_file({"x": np.zeros(4)}, path)
    address = server(tmp_path).address
    with tensord.safe_open(f"tensord://{address}/m", framework="np") as f:
        assert f.get_tensor("x").size == 4
        save_file({"x": np.ones(8)}, tmp_path / "next.tmp")
        (tmp_path / "next.tmp").rename(path)
        client = tensord.Client(f"tensord://{address}/m")
        for _ in range(20_000):
            if client.get_tensor("x").size == 8:
                break
        with pytest.raises(OSError) as raised:
            f.get_tensor("x")
        assert isinstance(raised.value, tensord.VersionChangedError) and raised.value.reason == "VERSION_CHANGED"
    with pytest.raises(tensord.VersionChangedError):
        client.get_tensor("x", version=f.version)
