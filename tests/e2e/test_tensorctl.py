"""tensorctl against a real server: what it prints, what it writes, and how it ends."""
import hashlib
import json
import os
import pty
import re
import signal
import socket
import subprocess

import ml_dtypes
import numpy as np
import pytest
import safetensors
from safetensors.numpy import load_file, save_file

import stores
from byte_proxy import ByteProxy, Treatment
from processes import wait_until

NUMPY = {
    "BOOL": np.bool_, "U8": np.uint8, "I8": np.int8, "I16": np.int16, "U16": np.uint16, "F16": np.float16, "I32": np.int32,
    "U32": np.uint32, "F32": np.float32, "C64": np.complex64, "F64": np.float64, "I64": np.int64, "U64": np.uint64,
}
ML_DTYPES = {
    "BF16": ml_dtypes.bfloat16, "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    "F8_E8M0": ml_dtypes.float8_e8m0fnu, "F8_E4M3FNUZ": ml_dtypes.float8_e4m3fnuz, "F8_E5M2FNUZ": ml_dtypes.float8_e5m2fnuz,
}
SHAPE = (6, 8, 5)
# Everything that a terminal or a log could stumble over, and what must never come out raw. A line feed ends our own lines.
HOSTILE = ["a\nb", "\x1b[31mred", "nul\x00byte", "quote\"'", "\u202egnp.exe", "del\x7f", "c1\x9b31m", "tab\t", "back\\slash",
           "line\u2028sep", "../../etc/passwd", "", "x[0:1]"]
RAW_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029]")


def reference(path):
    return {name: (info["dtype"], tuple(info["shape"]), bytes(info["data"]))
            for name, info in safetensors.deserialize(path.read_bytes())}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    root = tmp_path_factory.mktemp("store")
    rng = np.random.default_rng(1)
    save_file({
        "a.weight": rng.standard_normal((12, 10), dtype=np.float32),
        "layers.2.w": rng.integers(-9, 9, (4,)),
        "layers.10.w": rng.integers(-9, 9, (4,)),
        "scalar": np.array(2.5),
        "empty": np.zeros((0, 3), np.float32),
        "w[0]": np.arange(6, dtype=np.uint8).reshape(2, 3),
    }, root / "plain.safetensors", metadata={"format": "pt", "note": "ESC \x1b[31m\n" + "x" * 500})
    stores.write_raw(root / "dtypes.safetensors",
                     {dtype: stores.random_raw(rng, dtype, (8, 8, 4)) for dtype in stores.BITS}, pad=False)
    stores.write_raw(root / "hostile.safetensors", {name: stores.random_raw(rng, "U8", (4, 4)) for name in HOSTILE},
                     {"\x1b]0;title\x07": "\x1b[2J\u202e\x9b", "k\"": "\r\n"})
    (root / "sharded").mkdir()
    stores.sharded(root / "sharded")
    (root / "sharded" / "config.json").write_text("{}")
    (root / "sharded" / "secret.py").write_text("print()")
    large = rng.bytes(70 << 20)  # More than two of the windows that `get` reads.
    stores.write_raw(root / "large.safetensors", {"t": ("U8", (70, 1 << 20), large)})
    return root


@pytest.fixture(scope="module")
def tool(store, module_server, ctl):
    return ctl(module_server(store))


def fails(result, code, *words):
    """Asserts exit code, silence on standard output, and one line of error that has all words and no control byte."""
    error = result.stderr.decode()
    assert result.returncode == code, error
    assert error.startswith("error: ") and error.count("\n") == 1 and not RAW_CONTROL.search(error), error
    for word in words:
        assert word in error, error
    assert result.stdout == b""


# ---- Listings ----


def test_models_lists_names_and_ids(tool):
    rows = {row["id"]: row for row in json.loads(tool.text("models", "--json"))}
    assert set(rows) == {"plain", "dtypes", "hostile", "sharded/model", "large"}
    assert rows["plain"]["num_tensors"] == 6 and rows["plain"]["state"] == "READY" and rows["plain"]["problems"] == []
    assert rows["plain"]["size_bytes"] == 12 * 10 * 4 + 4 * 8 * 2 + 8 + 6
    assert rows["sharded/model"]["num_files"] == 3 and rows["sharded/model"]["short_name"] == "sharded"
    text = tool.text("models")
    assert text.splitlines()[0].split() == ["NAME", "STATE", "FILES", "TENSORS", "PARAMETERS", "SIZE", "DTYPES", "ID"]
    assert "\x1b" not in text and len(text.splitlines()) == 6


def test_models_takes_a_filter(tool):
    assert [row["id"] for row in json.loads(tool.text("models", "p*", "--json"))] == ["plain"]
    nothing = tool.run("models", "none*")
    assert nothing.returncode == 0 and nothing.stdout == b"" and b"No model" in nothing.stderr
    assert json.loads(tool.text("models", "none*", "--json")) == []


def test_ls_equals_the_reference(tool, store):
    wanted = reference(store / "plain.safetensors")
    rows = json.loads(tool.text("ls", "plain", "--json"))
    assert {row["name"]: (row["dtype"], tuple(row["shape"]), row["size_bytes"]) for row in rows} == {
        name: (dtype, shape, len(data)) for name, (dtype, shape, data) in wanted.items()}
    data = (store / "plain.safetensors").read_bytes()
    for row in rows:
        assert data[row["offset_bytes"]:row["offset_bytes"] + row["size_bytes"]] == wanted[row["name"]][2]
        assert row["file"] == "plain.safetensors"
    lines = tool.text("ls", "plain").splitlines()
    assert lines[0].split() == ["NAME", "DTYPE", "SHAPE", "SIZE", "FILE"]
    assert "[12, 10]" in lines[1] and lines[1].endswith("480 B  plain.safetensors")


def test_ls_selects_and_orders(tool):
    def names(*arguments):
        return [row["name"] for row in json.loads(tool.text("ls", *arguments, "--json"))]

    assert names("plain", "layers.*") == ["layers.2.w", "layers.10.w"]
    assert names("plain", "layers.{2..3}.w") == ["layers.2.w"]
    assert names("plain", "none") == []
    assert names("plain", "--dtype", "U8", "--dtype", "F64") == ["scalar", "w[0]"]
    offsets = [row["offset_bytes"] for row in json.loads(tool.text("ls", "plain", "--offset-order", "--json"))]
    assert offsets == sorted(offsets) and len(offsets) == 6


def test_show_describes_a_model(tool, store):
    shown = json.loads(tool.text("show", "plain", "--json"))
    assert shown["files"][0]["metadata"] == {"format": "pt", "note": "ESC \x1b[31m\n" + "x" * 500}
    assert shown["files"][0]["size_bytes"] == (store / "plain.safetensors").stat().st_size
    assert json.loads(tool.text("show", "dtypes", "--json"))["files"][0]["metadata"] is None
    sharded = json.loads(tool.text("show", "sharded", "--json"))
    assert {file["name"] for file in sharded["side_files"]} == {"config.json", "model.safetensors.index.json"}
    text = tool.text("show", "plain")
    assert "Parameters:" in text and "x" * 500 not in text and "--key shows it" in text
    assert "x" * 500 in tool.text("show", "plain", "--key", "note")


def test_show_describes_a_tensor(tool):
    assert json.loads(tool.text("show", "plain", "a.weight", "--json"))["shape"] == [12, 10]
    assert "[12, 10]" in tool.text("show", "plain", "a.weight")
    assert json.loads(tool.text("show", "hostile", "", "--json"))["name"] == ""


# ---- Values and bytes ----


@pytest.mark.parametrize("dtype", [*NUMPY, *ML_DTYPES])
def test_peek_decodes_as_numpy(tool, store, dtype):
    _, shape, data = reference(store / "dtypes.safetensors")[dtype]
    kind = NUMPY.get(dtype, ML_DTYPES.get(dtype))
    if dtype == "BOOL":
        kind = np.uint8
    array = np.frombuffer(data, kind).reshape(shape)[1:7:2, ::-3]
    peek = json.loads(tool.text("peek", "dtypes", dtype + "[1:7:2, ::-3]", "--json"))
    assert tuple(peek["shape"]) == array.shape and peek["num_values"] == array.size and not peek["truncated"]

    def number(value):
        return {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}.get(value, value) if isinstance(value, str) else value

    if dtype == "C64":
        got = np.array([complex(number(re), number(im)) for re, im in peek["values"]])
        wanted = array.ravel().astype(complex)
        assert np.array_equal(got.real, wanted.real, equal_nan=True)
        assert np.array_equal(got.imag, wanted.imag, equal_nan=True)
    elif np.issubdtype(kind, np.integer):
        assert peek["values"] == [int(value) for value in array.ravel()]
    else:
        wanted = array.ravel().astype(np.float64)
        assert np.array_equal(np.array([number(value) for value in peek["values"]], float), wanted, equal_nan=True)


def test_peek_prints_a_corner_and_says_where_it_cuts(tool, store):
    array = load_file(store / "plain.safetensors")["a.weight"]
    lines = tool.text("peek", "plain", "a.weight").splitlines()
    assert lines[0] == "a.weight  F32  [12, 10]; values of shape [8, 8]:" and len(lines) == 9
    assert np.allclose([[float(v) for v in line.split()] for line in lines[1:]], array[:8, :8], rtol=1e-5)
    assert "cut: 73400320 values" in tool.text("peek", "large", "t[:]")
    assert tool.text("peek", "plain", "scalar").splitlines()[1] == "2.5"
    assert tool.text("peek", "plain", "empty[:]").splitlines()[1] == "(no values)"


SLICES = [
    ("", ()), ("[0]", np.s_[0]), ("[2:5]", np.s_[2:5]), ("[::-1]", np.s_[::-1]), ("[:, 3]", np.s_[:, 3]),
    ("[..., -1]", np.s_[..., -1]), ("[7:1:-2, ::3, 1:]", np.s_[7:1:-2, ::3, 1:]), ("[5:5]", np.s_[5:5]),
    ("[-100:100, 1, ...]", np.s_[-100:100, 1, ...]), ("[1, 2, 3]", np.s_[1, 2, 3]),
]


@pytest.mark.parametrize("dtype", [*NUMPY, *ML_DTYPES])
def test_get_writes_every_format_as_numpy_cuts(tool, store, tmp_path, dtype):
    _, shape, data = reference(store / "dtypes.safetensors")[dtype]
    # Bytes of BOOL stay as they are in the file; numpy's scalars would turn them into 0 and 1.
    kind = np.uint8 if dtype == "BOOL" else NUMPY.get(dtype, ML_DTYPES.get(dtype))
    array = np.frombuffer(data, kind).reshape(shape)
    for i, (text, index) in enumerate(SLICES):
        wanted = array[index]
        raw, file = tmp_path / f"{i}.bin", tmp_path / f"{i}.safetensors"
        tool.bytes("get", "dtypes", dtype + text, "-o", raw)
        assert raw.read_bytes() == wanted.tobytes(), text
        assert tool.bytes("get", "dtypes", dtype + text, "-o", "-") == wanted.tobytes(), text
        tool.bytes("get", "dtypes", dtype + text, "-o", file)
        assert reference(file) == {dtype: (dtype, wanted.shape, wanted.tobytes())}, text
        npy = tmp_path / f"{i}.npy"
        result = tool.run("get", "dtypes", dtype + text, "-o", npy)
        if dtype in NUMPY:
            assert result.returncode == 0, result.stderr
            loaded = np.load(npy)
            assert loaded.dtype == NUMPY[dtype] and loaded.shape == wanted.shape and loaded.tobytes() == wanted.tobytes()
        else:
            fails(result, 1, dtype, ".safetensors", ".bin")
            assert not npy.exists()
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("dtype", ["F4", "F6_E2M3", "F6_E3M2"])
def test_get_cuts_sub_byte_dtypes_on_bytes(tool, store, tmp_path, dtype):
    _, shape, data = reference(store / "dtypes.safetensors")[dtype]
    row = len(data) // shape[0]
    out = tmp_path / "x.safetensors"
    tool.bytes("get", "dtypes", f"{dtype}[6:2:-2]", "-o", out)
    wanted = b"".join(data[i * row:(i + 1) * row] for i in (6, 4))
    assert reference(out) == {dtype: (dtype, (2, 8, 4), wanted)}
    fails(tool.run("get", "dtypes", f"{dtype}[:, :, 1]", "-o", out), 1, "BAD_SLICE")


def test_get_cuts_shards(tool, store):
    array = load_file(store / "plain.safetensors")["a.weight"]
    for text, index in (("0:1/4", np.s_[3:6]), ("-1:1/2", np.s_[:, 5:]), ("0:1/5,uneven", np.s_[3:6]),
                        ("0:4/5,uneven", np.s_[12:]), ("0:1/2,multiple=8", np.s_[8:]), ("0:1/2,padded=16", np.s_[8:])):
        assert tool.bytes("get", "plain", "a.weight", "--shard", text, "-o", "-") == array[index].tobytes(), text
    both = tool.bytes("get", "plain", "a.weight[..., ::-2]", "--shard", "0:2/3", "-o", "-")
    assert both == array[8:12, ::-2].tobytes()
    twice = tool.bytes("get", "plain", "a.weight", "--shard", "0:0/2", "--shard", "1:1/2", "-o", "-")
    assert twice == array[:6, 5:].tobytes()
    assert json.loads(tool.text("peek", "plain", "a.weight[:, 0]", "--shard", "0:1/4", "--json"))["shape"] == [3]
    fails(tool.run("get", "plain", "a.weight", "--shard", "0:0/5", "-o", "-"), 1, "UNEVEN_SHARD", "12", "5")
    fails(tool.run("get", "plain", "a.weight", "--shard", "2:0/5", "-o", "-"), 2, "rank 2")
    fails(tool.run("get", "plain", "a.weight[1:]", "--shard", "0:0/2", "-o", "-"), 2, "dimension 0")


def test_a_name_with_brackets_is_a_name_first(tool, store):
    array = load_file(store / "plain.safetensors")["w[0]"]
    assert tool.bytes("get", "plain", "w[0]", "-o", "-") == array.tobytes()
    assert tool.bytes("get", "plain", "w[0][1, ::-1]", "-o", "-") == array[1, ::-1].tobytes()


def test_get_reads_large_tensors_window_by_window(tool, store, tmp_path):
    _, shape, data = reference(store / "large.safetensors")["t"]
    assert hashlib.sha256(tool.bytes("get", "large", "t", "-o", "-")).digest() == hashlib.sha256(data).digest()
    out = tmp_path / "t.npy"
    report = json.loads(tool.text("get", "large", "t[::-1]", "-o", out, "--json"))
    assert report["shape"] == list(shape) and report["size_bytes"] == len(data) and report["path"] == str(out)
    assert np.array_equal(np.load(out), np.frombuffer(data, np.uint8).reshape(shape)[::-1])


def test_get_leaves_the_old_file_when_it_fails(tool, tmp_path):
    out = tmp_path / "x.npy"
    out.write_text("old")
    fails(tool.run("get", "plain", "a.weight[99]", "-o", out), 1, "INDEX_OUT_OF_BOUNDS", "99", "12")
    assert out.read_text() == "old" and os.listdir(tmp_path) == ["x.npy"]


# ---- Files ----


@pytest.mark.parametrize("model", ["plain", "sharded"])
def test_pull_reproduces_files(tool, store, tmp_path, model):
    source = store / "sharded" if model == "sharded" else store
    tool.bytes("pull", model, tmp_path / "deep" / "copy")
    copy = tmp_path / "deep" / "copy"
    names = sorted(os.listdir(copy))
    if model == "sharded":
        assert names == ["config.json", *(f"model-{i:05}-of-00003.safetensors" for i in (1, 2, 3)), "model.safetensors.index.json"]
    else:
        assert "plain.safetensors" in names
    for name in names:
        digests = [hashlib.sha256((place / name).read_bytes()).digest() for place in (copy, source)]
        assert digests[0] == digests[1]


def test_bench_measures(tool):
    report = json.loads(tool.text("bench", "large", "--seconds", "0.2", "--streams", "2", "--connections", "2", "--json"))
    assert report["model"] == "large" and report["tensor"] == "t" and report["connections"] == 2
    assert [(row["load"], row["streams"]) for row in report["loads"]] == [("throughput", 2), ("latency", 1), ("latency", 2)]
    for row in report["loads"]:
        assert row["reads"] > 0 and row["bytes_per_second"] > 0
        assert 0 < row["p50_ms"] <= row["p90_ms"] <= row["p99_ms"]
    assert "GB/s" in tool.text("bench", "--seconds", "0.1")
    fails(tool.run("bench", "plain", "empty"), 1, "TENSOR_NOT_FOUND", "no data")
    fails(tool.run("bench", "--streams", "257"), 2, "--streams")
    assert "64.0 KiB" in tool.text("bench", "large", "--seconds", "0.1", "--size", "64KiB")
    fails(tool.run("bench", "--size", "2GiB"), 2, "--size")


def test_pull_includes_what_is_asked_for(tool, tmp_path):
    report = json.loads(tool.text("pull", "sharded", tmp_path, "--include", "*.json", "--include", "*-00002-*", "--json"))
    assert sorted(os.listdir(tmp_path)) == ["config.json", "model-00002-of-00003.safetensors", "model.safetensors.index.json"]
    assert {file["name"] for file in report["files"]} == set(os.listdir(tmp_path)) and report["failed"] == []
    fails(tool.run("pull", "sharded", tmp_path, "--include", "*.py"), 1, "FILE_NOT_FOUND", "*.py")


def test_pull_checks_what_the_hub_cache_knows(server, ctl, tmp_path):
    stores.hub_cache(tmp_path / "hub")
    tool = ctl(server(tmp_path / "hub"))
    report = json.loads(tool.text("pull", "plain", tmp_path / "good", "--json"))
    digest = hashlib.sha256((tmp_path / "good" / "model.safetensors").read_bytes()).hexdigest()
    assert report["files"][0]["sha256"] == digest
    # The blob is damaged in place, with size, mtime and header kept: only the digest can tell.
    blob = (tmp_path / "hub" / "models--plain" / "snapshots" / ("a" * 40) / "model.safetensors").resolve()
    before = blob.stat()
    data = bytearray(blob.read_bytes())
    data[-1] ^= 1
    blob.write_bytes(data)
    os.utime(blob, ns=(before.st_atime_ns, before.st_mtime_ns))
    result = tool.run("pull", "plain", tmp_path / "bad")
    assert result.returncode == 1 and b"SHA-256" in result.stderr and digest.encode() in result.stderr
    assert "model.safetensors" not in os.listdir(tmp_path / "bad")


def test_pull_fetches_what_an_incomplete_model_has(server, ctl, tmp_path):
    (tmp_path / "store" / "m").mkdir(parents=True)
    stores.sharded(tmp_path / "store" / "m")
    (tmp_path / "store" / "m" / "model-00002-of-00003.safetensors").unlink()
    tool = ctl(server(tmp_path / "store"))
    result = tool.run("pull", "m", tmp_path / "copy")
    assert result.returncode == 1 and b"SHARD_MISSING" in result.stderr, result.stderr
    # The journal stays, because the pull is not complete; of the missing shard there is nothing.
    assert sorted(os.listdir(tmp_path / "copy")) == [
        ".tensorctl-pull.json",
        "model-00001-of-00003.safetensors",
        "model-00003-of-00003.safetensors",
        "model.safetensors.index.json",
    ]
    assert json.loads(tool.text("models", "--json"))[0]["state"] == "INCOMPLETE"


def test_check_judges_files_without_a_server(ctl, store, tmp_path):
    tool = ctl("127.0.0.1:1")
    (tmp_path / "short.safetensors").write_bytes(b"\1\2")
    (tmp_path / "huge.safetensors").write_bytes(b"\xff" * 8 + b"{}")
    stores.write_raw(tmp_path / "trailing.safetensors", {"t": ("U8", (1,), b"x")}).open("ab").write(b"tail")
    (tmp_path / "esc\x1b\n.safetensors").write_bytes(b"")
    lines = tool.text("check", store).splitlines()
    assert len(lines) == 7 and all(line.endswith(": OK") for line in lines)
    result = tool.run("check", tmp_path, store / "plain.safetensors")
    text = result.stdout.decode()
    assert result.returncode == 1 and not RAW_CONTROL.search(text) and len(text.splitlines()) == 5
    for name, variant in (("short", "HeaderTooSmall"), ("huge", "HeaderTooLarge"), ("trailing", "MetadataIncompleteBuffer")):
        assert f"{name}.safetensors: {variant}: " in text
    assert text.splitlines()[-1].endswith("plain.safetensors: OK")
    rows = [json.loads(line) for line in tool.run("check", "--json", tmp_path, store / "plain.safetensors").stdout.splitlines()]
    assert [row["ok"] for row in rows] == [False] * 4 + [True] and rows[-1]["tensors"] == 6
    assert all(set(row) == {"path", "ok", "error", "message", "tensors"} for row in rows)


# ---- Hostile names, errors, exit codes ----


@pytest.mark.parametrize("arguments", [("models",), ("ls", "hostile"), ("show", "hostile"),
                                       *(("peek", "hostile", name) for name in HOSTILE if "\x00" not in name),
                                       *(("show", "hostile", name) for name in HOSTILE if "\x00" not in name)])
def test_no_control_byte_reaches_the_output(tool, arguments):
    for json_flag in ((), ("--json",)):
        text = tool.text(*arguments, *json_flag)
        assert not RAW_CONTROL.search(text), text
    json.loads(text)


def test_json_keeps_hostile_names_exactly(tool):
    assert {row["name"] for row in json.loads(tool.text("ls", "hostile", "--json"))} == set(HOSTILE)
    assert json.loads(tool.text("show", "hostile", "--json"))["files"][0]["metadata"] == {
        "\x1b]0;title\x07": "\x1b[2J\u202e\x9b", "k\"": "\r\n"}


def test_hostile_names_are_fetched_under_their_own_name(tool, store, tmp_path):
    wanted = reference(store / "hostile.safetensors")
    for name in HOSTILE:
        if "\x00" in name:
            continue  # No command line can say it.
        tool.bytes("get", "hostile", name, "-o", tmp_path / "x.safetensors")
        assert reference(tmp_path / "x.safetensors") == {name: wanted[name]}


@pytest.mark.parametrize("arguments, code, words", [
    (("ls", "nope"), 1, ["MODEL_NOT_FOUND", "nope"]),
    (("ls", "plian"), 1, ["MODEL_NOT_FOUND", "plain"]),
    (("show", "plain", "a.wieght"), 1, ["TENSOR_NOT_FOUND", "a.wieght", "a.weight"]),
    (("peek", "plain", "b[0]"), 1, ["TENSOR_NOT_FOUND", '"b"']),
    (("peek", "plain", "\x1b[31m"), 1, ["TENSOR_NOT_FOUND", "\\x1b"]),
    (("peek", "plain", "a.weight[0:"), 1, ["BAD_SLICE"]),
    (("peek", "plain", "a.weight[0]x"), 1, ["BAD_SLICE"]),
    (("get", "plain", "a.weight[1, 2, 3]", "-o", "-"), 1, ["BAD_SLICE"]),
    (("get", "plain", "a.weight[99]", "-o", "-"), 1, ["INDEX_OUT_OF_BOUNDS"]),
    (("get", "plain", "a.weight", "-o", "x.txt"), 2, [".npy", ".safetensors", ".bin"]),
    (("get", "plain", "a.weight", "-o", "no/such/dir/x.bin"), 1, ["no/such/dir/x.bin"]),
    (("get", "plain", "a.weight", "--json", "-o", "-"), 2, ["--json"]),
    (("get", "plain", "a.weight"), 2, ["--output"]),
    (("ls", "plain", "{"), 1, ["BAD_REQUEST"]),
    (("frobnicate",), 2, ["frobnicate", "--help"]),
    ((), 2, ["--help"]),
    (("--server", "nonsense:port:x", "models"), 2, ["nonsense"]),
    (("--timeout", "never", "models"), 2, ["30s"]),
])
def test_errors_say_what_happened(tool, arguments, code, words):
    fails(tool.run(*arguments), code, *words)


def test_no_server_is_exit_code_3(ctl):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        fails(ctl(address).run("models"), 3, "UNAVAILABLE", address)


def test_a_mute_server_is_exit_code_4(ctl):
    with socket.socket() as mute:
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        fails(ctl(f"127.0.0.1:{mute.getsockname()[1]}").run("models", "--timeout", "500ms"), 4, "DEADLINE_EXCEEDED")


@pytest.mark.parametrize("command", ["models", "ls", "show", "peek", "get", "pull", "check", "bench"])
def test_help_has_examples(tool, command):
    assert command in tool.text("--help")
    text = tool.text(command, "--help")
    assert f"  tensorctl {command} " in text or f"  tensorctl {command}\n" in text


def test_version_is_told(tool):
    assert re.fullmatch(r"tensorctl \d+\.\d+\.\d+\n", tool.text("--version"))


# ---- Standard streams ----


def on_terminal(tool, *arguments, **environment):
    """(exit code, what a terminal as standard output and standard error received)."""
    master, slave = pty.openpty()
    result = tool.run(*arguments, stdout=slave, stderr=slave, env={"TERM": "xterm", **environment})
    os.close(slave)
    text = b""
    try:
        while block := os.read(master, 65536):
            text += block
    except OSError:
        pass  # A terminal's end.
    os.close(master)
    return result.returncode, text


def test_a_terminal_gets_bold_headers_unless_no_color(tool):
    assert b"\x1b[1mNAME" in on_terminal(tool, "models")[1]
    assert b"\x1b" not in on_terminal(tool, "models", NO_COLOR="1")[1]


def test_raw_bytes_reach_a_terminal_by_force_only(tool, store):
    code, text = on_terminal(tool, "get", "plain", "w[0]", "-o", "-")
    assert code == 2 and b"--force" in text
    code, text = on_terminal(tool, "get", "plain", "w[0]", "-o", "-", "--force")
    assert code == 0 and text == bytes(range(6))


def test_a_closed_or_full_output_is_an_error(tool):
    with open("/dev/full", "wb") as full:
        result = tool.run("models", stdout=full)
    assert result.returncode == 1 and b"standard output" in result.stderr
    result = subprocess.run(["sh", "-c", '"$0" models >&-', tool.program], stderr=subprocess.PIPE, check=False,
                            env={**os.environ, "TENSORD_ADDRESS": tool.address})
    assert result.returncode == 1 and b"standard output" in result.stderr


def test_a_reader_that_goes_away_ends_the_command(tool):
    process = subprocess.Popen([tool.program, "get", "large", "t", "-o", "-"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, "TENSORD_ADDRESS": tool.address})
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(30) == -signal.SIGPIPE
    assert process.stderr.read() == b""


def test_ctrl_c_leaves_no_file_under_its_name(tool, tmp_path):
    with ByteProxy(tool.address, lambda: Treatment("stall", 5 << 20)) as proxy:  # The command cannot end before the signal.
        process = subprocess.Popen([tool.program, "get", "large", "t[:, ::-1]", "-o", tmp_path / "t.bin"],
                                   stdout=subprocess.PIPE, env={**os.environ, "TENSORD_ADDRESS": proxy.address},
                                   # Whatever runs in a shell's background is born deaf to this signal.
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        wait_until(lambda: (tmp_path / "t.bin.partial").exists(), "the command writes")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == -signal.SIGINT
    assert not (tmp_path / "t.bin").exists()
