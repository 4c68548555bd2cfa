"""Makes the stores that the benchmark serves. Bytes are random, so that nothing can be compressed or skipped.

usage: make_bench_store.py STORE [NAME...]   NAME: see STORES; default all. What is there already is kept.
"""
import json
import os
import shutil
import struct
import sys
from pathlib import Path

SEED_BYTES = 16 << 20
MIB, GIB = 1 << 20, 1 << 30


def stores():
    """tests/e2e/stores.py; imported late, because it wants numpy and safetensors."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))
    import stores as module
    return module


def header_of(tensors, metadata=None):
    """The 8 bytes of length and the JSON of {name: (dtype, shape, size)}."""
    header, offset = ({"__metadata__": metadata} if metadata else {}), 0
    for name, (dtype, shape, size) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def write_random(path, tensors):
    """Writes tensors of any size in constant memory; no two blocks of the file are equal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = os.urandom(SEED_BYTES)
    remaining, block = sum(size for _, _, size in tensors.values()), 0
    with open(path, "wb") as file:
        file.write(header_of(tensors))
        while remaining > 0:
            cut = block * 4099 % SEED_BYTES
            file.write((seed[cut:] + seed[:cut])[:remaining])
            remaining, block = remaining - min(remaining, SEED_BYTES), block + 1


def write_sparse(path, tensors):
    """Writes tensors of zeros that occupy no disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = header_of(tensors)
    with open(path, "wb") as file:
        file.write(header)
        file.truncate(len(header) + sum(size for _, _, size in tensors.values()))


def big(directory, size=GIB):
    """One matrix of 16 KiB rows."""
    write_random(directory / "model.safetensors", {"t": ("BF16", (size // 16384, 8192), size)})


def small(directory, count=10_000):
    """Tensors of 4 KiB."""
    write_random(directory / "model.safetensors", {f"layers.{i}.w": ("F32", (1024,), 4096) for i in range(count)})


def layered(directory, layers=32, hidden=2048):
    """A model of about 1 GiB with a transformer's proportions."""
    tensors = {}
    for i in range(layers):
        for name, shape in (("qkv", (hidden, 3 * hidden // 2)), ("o", (hidden, hidden // 2)), ("up", (hidden, hidden)),
                            ("down", (hidden, hidden)), ("norm", (hidden,))):
            size = 2
            for extent in shape:
                size *= extent
            tensors[f"layers.{i}.{name}.weight"] = ("F16", shape, size)
    write_random(directory / "model.safetensors", tensors)


def long_header(directory, count=100_000):
    """A header of 11.6 MB, 116 bytes a tensor."""
    write_random(directory / "model.safetensors",
                 {f"model.layers.{i % 61}.mlp.experts.{i % 256}.w{i:06}{'_' * 16}": ("F32", (1,), 4) for i in range(count)})


# DeepSeek-V3's shapes by the last parts of a name; a scale has one element for each 128 x 128 block.
DEEPSEEK_SHAPES = {
    "embed_tokens": (129280, 7168), "lm_head": (129280, 7168), "head": (129280, 7168), "eh_proj": (7168, 14336),
    "q_a_proj": (1536, 7168), "q_b_proj": (24576, 1536), "kv_a_proj_with_mqa": (576, 7168), "kv_b_proj": (32768, 512),
    "o_proj": (7168, 16384), "gate_proj": (2048, 7168), "up_proj": (2048, 7168), "down_proj": (7168, 2048),
    "gate": (256, 7168), "q_a_layernorm": (1536,), "kv_a_layernorm": (512,), "e_score_correction_bias": (256,),
}


def deepseek_shape(name, divisor):
    parts = name.split(".")
    shape = DEEPSEEK_SHAPES.get(parts[-2], DEEPSEEK_SHAPES.get(parts[-1], (7168,)))
    if ".mlp.gate_proj" in name or ".mlp.up_proj" in name:
        shape = (18432, 7168)
    elif ".mlp.down_proj" in name:
        shape = (7168, 18432)
    if name.endswith("_scale_inv"):
        divisor *= 8
    return tuple(max(1, extent // divisor) for extent in shape)


def deepseek(directory, divisor=32, shards=163):
    """DeepSeek-V3's 91,991 tensors over 163 files, extents divided by `divisor`: 0.7 GB by default."""
    module = stores()
    names = module._deepseek_v3_names()
    weight_map = {}
    for shard in range(shards):
        tensors = {}
        for name, dtype in names[shard * len(names) // shards:(shard + 1) * len(names) // shards]:
            shape = deepseek_shape(name, divisor)
            size = module.BITS[dtype] // 8
            for extent in shape:
                size *= extent
            tensors[name] = (dtype, shape, size)
        file = f"model-{shard + 1:05}-of-{shards:06}.safetensors"
        write_random(directory / file, tensors)
        weight_map.update(dict.fromkeys(tensors, file))
    (directory / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def lora(directory, count=50_000):
    """Adapters of 2 small tensors, 100 to a folder."""
    tensors = {"lora_A.weight": ("F16", (4, 8), 64), "lora_B.weight": ("F16", (8, 4), 64)}
    content = header_of(tensors, {"format": "pt"}) + os.urandom(128)
    for i in range(count):
        path = directory / f"{i // 100:03}" / f"adapter-{i % 100:02}.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def cold(directory):
    """Read from the disk again and again; apart from `big`, so that nothing else keeps its pages."""
    big(directory, GIB)


# A store holds one model of the same name; `lora` and those about start-up stand alone.
STORES = {"big": big, "small": small, "layered": layered, "deepseek": deepseek, "cold": cold,
          "long_header": long_header, "lora": lora}


def make(root, name):
    """The directory of store `name`, made unless it is there."""
    directory = Path(root, name)
    if not directory.exists():
        scratch = Path(root, f".{name}.partial")
        shutil.rmtree(scratch, ignore_errors=True)
        STORES[name](scratch / name if name != "lora" else scratch)
        scratch.rename(directory)
    return directory


def tensor_offset(path, tensor):
    """Where the tensor's bytes begin in the file, and how many they are."""
    with open(path, "rb") as file:
        length, = struct.unpack("<Q", file.read(8))
        begin, end = json.loads(file.read(length))[tensor]["data_offsets"]
    return 8 + length + begin, end - begin


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    for wanted in sys.argv[2:] or STORES:
        print(make(sys.argv[1], wanted))
