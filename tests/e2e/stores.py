"""Makes the stores that the end-to-end tests serve: what real producers write, in the layouts that real tools leave."""
import hashlib
import json
import os
import struct
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

BITS = {
    "BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "C64": 64, "F64": 64, "I64": 64, "U64": 64,
}


def write_raw(path, tensors, metadata=None, pad=True):
    """Writes {name: (dtype, shape, bytes)} in the given order; `pad=False` leaves the header unaligned, as MLX does."""
    header, offset = {}, 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    if pad:
        text += b" " * (-len(text) % 8)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, _, data in tensors.values():
            file.write(data)
    return path


def random_raw(rng, dtype, shape):
    bits = int(np.prod(shape, dtype=object)) * BITS[dtype]
    assert bits % 8 == 0
    return dtype, tuple(shape), rng.bytes(bits // 8)


def gpt2(directory, hidden=48, layers=3, vocabulary=50257):
    """GPT-2's names and shapes at a smaller width, as `save_model` leaves a tied model: the removed name stands in
    `__metadata__` with the name that was kept."""
    rng = np.random.default_rng(2)
    tensors = {"transformer.wte.weight": (vocabulary, hidden), "transformer.wpe.weight": (1024, hidden)}
    for i in range(layers):
        h = f"transformer.h.{i}"
        tensors.update({
            f"{h}.ln_1.weight": (hidden,), f"{h}.ln_1.bias": (hidden,),
            f"{h}.attn.c_attn.weight": (hidden, 3 * hidden), f"{h}.attn.c_attn.bias": (3 * hidden,),
            f"{h}.attn.c_proj.weight": (hidden, hidden), f"{h}.attn.c_proj.bias": (hidden,),
            f"{h}.ln_2.weight": (hidden,), f"{h}.ln_2.bias": (hidden,),
            f"{h}.mlp.c_fc.weight": (hidden, 4 * hidden), f"{h}.mlp.c_fc.bias": (4 * hidden,),
            f"{h}.mlp.c_proj.weight": (4 * hidden, hidden), f"{h}.mlp.c_proj.bias": (hidden,),
        })
    tensors.update({"transformer.ln_f.weight": (hidden,), "transformer.ln_f.bias": (hidden,)})
    Path(directory).mkdir(parents=True, exist_ok=True)
    save_file({name: rng.standard_normal(shape, dtype=np.float32) for name, shape in tensors.items()},
              str(Path(directory, "model.safetensors")),
              metadata={"format": "pt", "lm_head.weight": "transformer.wte.weight"})
    Path(directory, "config.json").write_text(json.dumps({"model_type": "gpt2", "vocab_size": vocabulary}))


def sharded(directory, shards=3, variant=""):
    """A checkpoint of several shards with an index, as transformers writes one."""
    rng = np.random.default_rng(3)
    stem = f"model{'.' + variant if variant else ''}"
    weight_map, total = {}, 0
    for shard in range(shards):
        name = f"{stem}-{shard + 1:05}-of-{shards:05}.safetensors"
        tensors = {f"model.layers.{shard * 4 + i}.w": random_raw(rng, "BF16", (16, 24)) for i in range(4)}
        write_raw(Path(directory, name), tensors, {"format": "pt"})
        weight_map.update(dict.fromkeys(tensors, name))
        total += sum(len(data) for _, _, data in tensors.values())
    index = f"model.safetensors.index{'.' + variant if variant else ''}.json"
    Path(directory, index).write_text(json.dumps({"metadata": {"total_size": total}, "weight_map": weight_map}))


def diffusers(directory):
    """A pipeline: one model a folder, each with a half-precision variant beside it."""
    rng = np.random.default_rng(4)
    for folder, stem in (("unet", "diffusion_pytorch_model"), ("vae", "diffusion_pytorch_model"), ("text_encoder", "model")):
        for variant, dtype in (("", "F32"), (".fp16", "F16")):
            write_raw(Path(directory, folder, f"{stem}{variant}.safetensors"),
                      {f"{folder}.{i}.weight": random_raw(rng, dtype, (8, 3, 3)) for i in range(5)}, {"format": "pt"})
        Path(directory, folder, "config.json").write_text("{}")
    Path(directory, "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}')


def _blob(path, data):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def hub_cache(directory):
    """A Hugging Face cache: one repository with two revisions of which the newer is half downloaded, another whose blob is
    a symlink to a shared one (two hops), and the files that a scan must pass over. Returns {id: path of its file}."""
    rng = np.random.default_rng(5)
    root = Path(directory)
    repository = root / "models--acme--tiny"
    old, new = "a" * 40, "b" * 40

    def file_bytes(count):
        path = write_raw(root / "scratch", {f"layer.{i}.w": random_raw(rng, "F32", (4, 4)) for i in range(count)}, {})
        data = path.read_bytes()
        path.unlink()
        return data

    def link(snapshot, name, data, shared=False):
        digest = hashlib.sha256(data).hexdigest()
        blob = repository_of(snapshot) / "blobs" / digest
        if shared:
            target = _blob(root / "blobs" / digest[:2] / digest, data)
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.symlink_to(os.path.relpath(target, blob.parent))
        else:
            _blob(blob, data)
        path = snapshot / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(os.path.relpath(blob, path.parent))

    def repository_of(snapshot):
        return snapshot.parent.parent

    # The old revision is whole; the new one lacks its second shard, and refs/main already names it.
    link(repository / "snapshots" / old, "model.safetensors", file_bytes(3))
    first = file_bytes(2)
    link(repository / "snapshots" / new, "model-00001-of-00002.safetensors", first)
    names = {"layer.0.w": "model-00001-of-00002.safetensors", "late.w": "model-00002-of-00002.safetensors"}
    link(repository / "snapshots" / new, "model.safetensors.index.json",
         json.dumps({"metadata": {}, "weight_map": names}).encode())
    _blob(repository / "blobs" / ("c" * 64 + ".incomplete"), b"half a shard")
    _blob(repository / "refs" / "main", new.encode())
    _blob(repository / "refs" / "pr" / "1", old.encode())
    _blob(repository / ".no_exist" / new / "adapter_config.json", b"")
    _blob(root / ".locks" / "models--acme--tiny" / "x.lock", b"")

    other = root / "models--plain"
    link(other / "snapshots" / old, "model.safetensors", file_bytes(4), shared=True)
    _blob(other / "refs" / "main", old.encode())
    return {"old": old, "new": new}


YOLO_NAMES = {0: "person", 1: "bicycle", 2: "car"}


def yolo(directory):
    """YOLO exports; their metadata in the two spellings that exist: Python's str() and JSON."""
    rng = np.random.default_rng(6)
    for task, suffix in (("detect", ""), ("segment", "-seg"), ("classify", "-cls"), ("pose", "-pose"), ("obb", "-obb")):
        for kind, dtype in (("", "F32"), ("_fp16", "F16"), ("_b2_fp16", "F16")):
            spell = str if kind == "" else json.dumps
            metadata = {
                "task": task, "names": spell(YOLO_NAMES), "stride": spell(32), "batch": spell(2 if "b2" in kind else 1),
                "imgsz": spell([640, 640]), "args": spell({"half": dtype == "F16"}), "yaml": "nc: 80\nscale: n\n",
            }
            write_raw(Path(directory, f"yolo11n{suffix}{kind}.safetensors"), {
                "model.0.conv.weight": random_raw(rng, dtype, (16, 3, 3, 3)),
                "model.0.bn.running_mean": random_raw(rng, dtype, (16,)),
                "model.0.bn.num_batches_tracked": random_raw(rng, "I64", ()),
                "model.23.dfl.conv.weight": random_raw(rng, dtype, (1, 16, 1, 1)),
            }, metadata)


def lora(directory):
    """A kohya LoRA whose training metadata is larger than a gRPC message."""
    rng = np.random.default_rng(7)
    tags = json.dumps({"images": {f"tag {i} \u00e9\U0001F600": i for i in range(180_000)}}, ensure_ascii=False)
    assert len(tags.encode()) > 4 << 20
    write_raw(Path(directory, "style.safetensors"), {
        "lora_unet_down.lora_down.weight": random_raw(rng, "F16", (4, 320)),
        "lora_unet_down.alpha": random_raw(rng, "F16", ()),
    }, {"ss_tag_frequency": tags, "ss_network_dim": "4", "sshs_model_hash": "0" * 64})
    return tags


def every_dtype(directory):
    """All 22 dtypes, at several ranks, in an unaligned file, with names that are hostile to terminals and paths."""
    rng = np.random.default_rng(8)
    tensors = {}
    for dtype in BITS:
        tensors[f"{dtype}.matrix"] = random_raw(rng, dtype, (6, 8))
        tensors[f"{dtype}.empty"] = random_raw(rng, dtype, (0, 5))
        if BITS[dtype] % 8 == 0:
            tensors[f"{dtype}.scalar"] = random_raw(rng, dtype, ())
            tensors[f"{dtype}.odd"] = random_raw(rng, dtype, (3, 1, 5))
    for name in ("", "a\nb", "\x1b[31mred", "../../etc/passwd", "nul\x00byte", "quote\"'", "\u202egnp.exe", "x[0:1]"):
        tensors[name] = random_raw(rng, "U8", (4, 4))
    write_raw(Path(directory, "every_dtype.safetensors"), tensors, None, pad=False)


def _deepseek_v3_names():
    """DeepSeek-V3's 91,991 tensors as (name, dtype), from its architecture."""
    def linear(name):
        return [(f"{name}.weight", "F8_E4M3"), (f"{name}.weight_scale_inv", "F32")]

    names = [("model.embed_tokens.weight", "BF16"), ("model.norm.weight", "BF16"), ("lm_head.weight", "BF16")]
    for layer in range(62):
        prefix = f"model.layers.{layer}"
        for part in ("q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj"):
            names += linear(f"{prefix}.self_attn.{part}")
        for norm in ("self_attn.q_a_layernorm", "self_attn.kv_a_layernorm", "input_layernorm", "post_attention_layernorm"):
            names.append((f"{prefix}.{norm}.weight", "BF16"))
        if layer < 3:
            for part in ("gate_proj", "up_proj", "down_proj"):
                names += linear(f"{prefix}.mlp.{part}")
            continue
        names += [(f"{prefix}.mlp.gate.weight", "BF16"), (f"{prefix}.mlp.gate.e_score_correction_bias", "F32")]
        for owner in ["shared_experts"] + [f"experts.{i}" for i in range(256)]:
            for part in ("gate_proj", "up_proj", "down_proj"):
                names += linear(f"{prefix}.mlp.{owner}.{part}")
    names += [(f"model.layers.61.{name}", "BF16") for name in
              ("enorm.weight", "hnorm.weight", "eh_proj.weight", "shared_head.norm.weight", "embed_tokens.weight",
               "shared_head.head.weight")]
    return names


def deepseek_v3(directory, shards=163):
    """DeepSeek-V3's names over 163 shards with an index; every tensor scaled down to a few dozen bytes."""
    rng = np.random.default_rng(9)
    names = _deepseek_v3_names()
    weight_map = {}
    for shard in range(shards):
        name = f"model-{shard + 1:05}-of-{shards:06}.safetensors"
        part = names[shard * len(names) // shards:(shard + 1) * len(names) // shards]
        tensors = {tensor: random_raw(rng, dtype, (8, 4)) for tensor, dtype in part}
        write_raw(Path(directory, name), tensors, {"format": "pt"})
        weight_map.update(dict.fromkeys(tensors, name))
    Path(directory, "model.safetensors.index.json").write_text(
        json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map}))
    return len(names)
