"""A store that costs nothing and can be read for ever."""
import json
import struct

BIG_BYTES = 1 << 30


def make_store(directory):
    """One model, `big`, with one tensor, `t`, of zeros."""
    directory.mkdir(parents=True, exist_ok=True)
    header = json.dumps({"t": {"dtype": "U8", "shape": [BIG_BYTES], "data_offsets": [0, BIG_BYTES]}}).encode()
    with open(directory / "big.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + BIG_BYTES)
    return directory
