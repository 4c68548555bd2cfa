#!/usr/bin/env python3
"""Writes a small store to try tensord with; needs nothing but Python.

usage: deploy/make_sample_store.py DIR

DIR/tiny-gpt2 is one file shaped like a very small GPT-2, DIR/sharded is a checkpoint of two shards with an index.
Every element is a function of its position, so that a reader can check what it got: element i of a tensor is i % 1021,
as float32 or bfloat16.
"""
import json
import os
import struct
import sys
from array import array

HIDDEN = 64
VOCABULARY = 512
LAYERS = 2


def float32_data(count):
    return array("f", (i % 1021 for i in range(count))).tobytes()


def bfloat16_data(count):
    # The upper half of the float32: exact up to 256, rounded towards zero above, which is all that a sample needs.
    words = array("H")
    words.frombytes(float32_data(count))
    return words[1::2].tobytes()


DATA = {"F32": float32_data, "BF16": bfloat16_data}


def write_safetensors(path, tensors, metadata=None):
    """tensors: {name: (dtype, shape)}."""
    header, blobs, offset = {}, [], 0
    if metadata is not None:
        header["__metadata__"] = metadata
    for name, (dtype, shape) in tensors.items():
        count = 1
        for extent in shape:
            count *= extent
        blob = DATA[dtype](count)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path + ".partial", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))
    os.replace(path + ".partial", path)  # Never in place: a server may have the old file mapped.


def layer(prefix, dtype):
    return {
        f"{prefix}.attn.c_attn.weight": (dtype, [HIDDEN, 3 * HIDDEN]),
        f"{prefix}.attn.c_attn.bias": (dtype, [3 * HIDDEN]),
        f"{prefix}.mlp.c_fc.weight": (dtype, [HIDDEN, 4 * HIDDEN]),
        f"{prefix}.mlp.c_proj.weight": (dtype, [4 * HIDDEN, HIDDEN]),
    }


def make_tiny_gpt2(directory):
    os.makedirs(directory, exist_ok=True)
    tensors = {"wte.weight": ("F32", [VOCABULARY, HIDDEN]), "wpe.weight": ("F32", [128, HIDDEN])}
    for i in range(LAYERS):
        tensors.update(layer(f"h.{i}", "F32"))
    write_safetensors(os.path.join(directory, "model.safetensors"), tensors, {"format": "pt"})
    with open(os.path.join(directory, "config.json"), "w", encoding="utf-8") as file:
        json.dump({"model_type": "gpt2", "n_embd": HIDDEN, "n_layer": LAYERS, "vocab_size": VOCABULARY}, file, indent=2)


def make_sharded(directory):
    os.makedirs(directory, exist_ok=True)
    weight_map = {}
    for shard in (1, 2):
        name = f"model-{shard:05}-of-00002.safetensors"
        tensors = layer(f"model.layers.{shard - 1}", "BF16")
        write_safetensors(os.path.join(directory, name), tensors, {"format": "pt"})
        weight_map.update({tensor: name for tensor in tensors})
    with open(os.path.join(directory, "model.safetensors.index.json"), "w", encoding="utf-8") as file:
        json.dump({"metadata": {}, "weight_map": weight_map}, file, indent=2)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    make_tiny_gpt2(os.path.join(sys.argv[1], "tiny-gpt2"))
    make_sharded(os.path.join(sys.argv[1], "sharded"))


if __name__ == "__main__":
    main()
