"""A store that costs nothing and can be read for ever."""
import json
import struct

BIG_BYTES = 1 << 30


NUM_NAMES = 10_000  # About a page of the largest size.


def _write(path, tensors, num_bytes):
    header = json.dumps(tensors).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + num_bytes)


def make_store(directory):
    """One model, `big`, with one tensor, `t`, of zeros."""
    directory.mkdir(parents=True, exist_ok=True)
    _write(directory / "big.safetensors", {"t": {"dtype": "U8", "shape": [BIG_BYTES], "data_offsets": [0, BIG_BYTES]}}, BIG_BYTES)
    return directory


def make_store_with_names(directory):
    """The same with a second model, `many`, of as many names as a page holds."""
    make_store(directory)
    _write(directory / "many.safetensors", {
        f"model.layers.{i:05}.self_attention.projection.weight": {"dtype": "U8", "shape": [1], "data_offsets": [i, i + 1]}
        for i in range(NUM_NAMES)}, NUM_NAMES)
    return directory
