"""Every tensor of real and realistic models, and hundreds of slices, against what the reference library reads."""
import hashlib
import json
from pathlib import Path

import grpc
import numpy as np
import pytest
import safetensors

import stores
import wire
from wire import pb

MINILM = wire.ROOT / "build/models/minilm"
NUMPY = {"F32": np.float32, "F16": np.float16, "I64": np.int64, "U8": np.uint8, "F64": np.float64}


def reference(path):
    """{name: (dtype, shape, bytes)} by the reference library."""
    return {name: (info["dtype"], tuple(info["shape"]), bytes(info["data"]))
            for name, info in safetensors.deserialize(Path(path).read_bytes())}


def random_index(rng, shape):
    """A random basic index as (text, numpy index)."""
    texts, items = [], []
    for extent in shape:
        if rng.random() < 0.25 and extent:
            i = int(rng.integers(-extent, extent))
            texts.append(str(i))
            items.append(i)
            continue
        start, stop = (int(v) if rng.random() < 0.7 else None for v in rng.integers(-extent - 2, extent + 3, 2))
        step = int(rng.choice([1, 1, 1, 2, 3, -1, -2]))
        texts.append(":".join("" if v is None else str(v) for v in (start, stop, step)))
        items.append(slice(start, stop, step))
    if rng.random() < 0.2:
        texts.append("...")
        items.append(Ellipsis)
    return "[" + ", ".join(texts) + "]", tuple(items)


def check_whole_model(store, model, wanted):
    """Every tensor of the model in one stream, and its listing, against {name: (dtype, shape, bytes)}."""
    listed = {t.name: (t.dtype, tuple(t.shape), t.size_bytes) for t in wire.list_all_tensors(store, model)}
    assert listed == {name: (dtype, shape, len(data)) for name, (dtype, shape, data) in wanted.items()}
    for checksum in (False, True):
        request = pb.GetTensorsRequest(model=model, selections=[pb.Selection(pattern="*")], checksum=checksum)
        _, results = wire.collect(store.GetTensors(request))
        got = {r.tensor: (r.dtype, r.shape, bytes(r.data)) for r in results.values()}
        assert got == wanted
    return len(wanted)


@pytest.fixture(scope="module")
def minilm(module_server, ctl):
    assert (MINILM / "model.safetensors").is_file(), "tests/tools.sh puts the model there"
    running = module_server(MINILM)
    channel, store = wire.connect(running.address)
    yield ctl(running), store, reference(MINILM / "model.safetensors")
    channel.close()


def test_minilm_every_tensor_equals_the_reference(minilm):
    _, store, wanted = minilm
    assert check_whole_model(store, "model", wanted) > 100


def test_minilm_every_tensor_through_tensorctl(minilm):
    tensorctl, _, wanted = minilm
    for name, (_, _, data) in wanted.items():
        assert tensorctl.bytes("get", "model", name, "-o", "-") == data, name


def test_minilm_slices_equal_numpy(minilm):
    _, store, wanted = minilm
    rng = np.random.default_rng(11)
    names = sorted(wanted)
    for _ in range(400):
        name = names[rng.integers(len(names))]
        dtype, shape, data = wanted[name]
        array = np.frombuffer(data, NUMPY[dtype]).reshape(shape)
        text, index = random_index(rng, shape)
        _, results = wire.collect(store.GetSlice(pb.GetSliceRequest(model="model", tensor=name, slice=text)))
        expected = array[index]
        assert results[0].shape == expected.shape, (name, text)
        assert bytes(results[0].data) == expected.tobytes(), (name, text)


def test_minilm_slices_through_tensorctl(minilm, tmp_path):
    tensorctl, _, wanted = minilm
    rng = np.random.default_rng(12)
    names = sorted(wanted)
    for i in range(200):
        name = names[rng.integers(len(names))]
        dtype, shape, data = wanted[name]
        array = np.frombuffer(data, NUMPY[dtype]).reshape(shape)
        text, index = random_index(rng, shape)
        out = tmp_path / f"{i}.npy"
        tensorctl.bytes("get", "model", name + text, "-o", str(out))
        got = np.load(out)
        assert got.dtype == array.dtype and np.array_equal(got, array[index]) and got.shape == array[index].shape, text


def test_minilm_pull_reproduces_every_file(minilm, tmp_path):
    tensorctl, _, _ = minilm
    tensorctl.bytes("pull", "model", str(tmp_path))
    served = [path for path in MINILM.iterdir() if path.suffix in (".safetensors", ".json", ".txt", ".md", ".model", ".jinja")]
    assert len(served) > 5
    for path in served:
        assert hashlib.sha256((tmp_path / path.name).read_bytes()).digest() == hashlib.sha256(path.read_bytes()).digest()
    assert not list(tmp_path.rglob("*.partial"))


@pytest.fixture(scope="module")
def zoo(module_server, tmp_path_factory):
    """One store with everything that tests/e2e/stores.py makes."""
    root = tmp_path_factory.mktemp("zoo")
    stores.gpt2(root / "gpt2")
    stores.sharded(root / "sharded")
    stores.sharded(root / "variant", variant="fp16")
    stores.diffusers(root / "sd")
    stores.yolo(root / "yolo")
    tags = stores.lora(root / "lora")
    stores.every_dtype(root / "dtypes")
    commits = stores.hub_cache(root / "hub")
    running = module_server(root)
    channel, store = wire.connect(running.address)
    yield root, store, tags, commits
    channel.close()


def test_zoo_every_tensor_of_every_model_equals_the_reference(zoo):
    root, store, _, _ = zoo
    counted = 0
    for model in wire.list_all_models(store):
        if "@" in model.id:
            continue  # The hub cache has tests of its own.
        files = store.GetMetadata(pb.GetMetadataRequest(model=model.id)).files
        wanted = {}
        for file in files:
            wanted.update(reference(root / Path(model.id).parent / file.name))
        counted += check_whole_model(store, model.id, wanted)
    assert counted == 246  # All that stores.py makes but for the hub cache.


def test_zoo_models_have_their_names(zoo):
    _, store, _, _ = zoo
    ids = {model.id for model in wire.list_all_models(store)}
    wanted = {"gpt2/model", "sharded/model", "variant/model.fp16", "lora/style", "dtypes/every_dtype",
              "sd/unet/diffusion_pytorch_model", "sd/unet/diffusion_pytorch_model.fp16", "sd/text_encoder/model",
              "yolo/yolo11n", "yolo/yolo11n-obb_b2_fp16"}
    assert wanted <= ids
    for name, model in (("gpt2", "gpt2/model"), ("sd/unet", "sd/unet/diffusion_pytorch_model"),
                        ("variant", "variant/model.fp16"), ("lora", "lora/style")):
        assert store.GetMetadata(pb.GetMetadataRequest(model=name)).model.id == model


def test_tied_tensor_names_the_one_that_was_kept(zoo):
    _, store, _, _ = zoo
    with pytest.raises(grpc.RpcError) as error:
        list(store.GetTensor(pb.GetTensorRequest(model="gpt2", tensor="lm_head.weight")))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    assert "transformer.wte.weight" in error.value.details()


def test_metadata_larger_than_a_message_is_read_completely(zoo):
    _, store, tags, _ = zoo
    got, offset = "", 0
    while True:
        request = pb.GetMetadataRequest(model="lora", keys=["ss_tag_frequency"], value_offset=offset,
                                        max_value_bytes=1 << 20)
        entry = store.GetMetadata(request).files[0].metadata.entries[0]
        got += entry.value
        offset += len(entry.value.encode())
        if offset == entry.value_bytes:
            break
    assert got == tags


def test_yolo_metadata_passes_through_in_both_spellings(zoo):
    _, store, _, _ = zoo
    for model, spell in (("yolo/yolo11n-seg", str), ("yolo/yolo11n-seg_fp16", json.dumps)):
        metadata = store.GetMetadata(pb.GetMetadataRequest(model=model)).files[0].metadata
        values = {entry.key: entry.value for entry in metadata.entries}
        assert values["task"] == "segment"
        assert values["names"] == spell(stores.YOLO_NAMES)
        assert values["stride"] == "32"


def test_hub_cache_stays_on_the_last_complete_snapshot(zoo):
    root, store, _, commits = zoo
    hub = root / "hub"
    old = hub / "models--acme--tiny/snapshots" / commits["old"] / "model.safetensors"
    # refs/main names the new revision, whose second shard has not arrived.
    for name in ("hub/acme/tiny", "hub/acme/tiny/model", f"hub/acme/tiny@{commits['old']}/model", "hub/acme/tiny@pr%2F1/model"):
        wanted = reference(old)
        _, results = wire.collect(store.GetTensors(pb.GetTensorsRequest(model=name, selections=[pb.Selection(pattern="*")])))
        assert {r.tensor: bytes(r.data) for r in results.values()} == {n: d for n, (_, _, d) in wanted.items()}, name
    new = store.GetMetadata(pb.GetMetadataRequest(model=f"hub/acme/tiny@{commits['new']}/model")).model
    assert new.state == pb.MODEL_STATE_INCOMPLETE
    with pytest.raises(grpc.RpcError) as error:
        list(store.GetTensor(pb.GetTensorRequest(model=new.id, tensor="late.w")))
    assert "model-00002-of-00002.safetensors" in error.value.details()


def test_hub_cache_follows_two_hops(zoo):
    root, store, _, commits = zoo
    path = root / "hub/models--plain/snapshots" / commits["old"] / "model.safetensors"
    check_whole_model(store, "hub/plain", reference(path))
    info = store.GetMetadata(pb.GetMetadataRequest(model="hub/plain")).files[0]
    assert info.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_deepseek_v3_every_one_of_91991_tensors(server, tmp_path):
    count = stores.deepseek_v3(tmp_path / "deepseek")
    assert count == 91_991
    running = server(tmp_path)
    channel, store = wire.connect(running.address)
    wanted = {}
    for path in (tmp_path / "deepseek").glob("*.safetensors"):
        wanted.update(reference(path))
    assert check_whole_model(store, "deepseek", wanted) == count
    channel.close()
