"""A serverless handler that loads its rank's shard at cold start, and tells how much of the model travelled.

MODEL_URL=tensord://weights:7070/llama RANK=3 WORLD_SIZE=8 python serverless_shard.py
"""

import os
import time

import numpy as np

import tensord

URL = os.environ["MODEL_URL"]
RANK, WORLD_SIZE = int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))

_state = None


def load_shard():
    """Every matrix cut by columns, uneven ones too; vectors and scalars whole."""
    begin = time.monotonic()
    with tensord.Client(URL) as client:
        model_bytes = client.get_metadata().size_bytes
        shard = (1, tensord.Shard(RANK, WORLD_SIZE, allow_uneven=True))
        state = dict(client.iterate("*", shard=shard))
        print(
            f"cold start: {client.bytes_received} of {model_bytes} bytes travelled "
            f"({100 * client.bytes_received / max(1, model_bytes):.1f}%), {len(state)} tensors, "
            f"{1000 * (time.monotonic() - begin):.0f} ms"
        )
    return state


def handler(event, context=None):
    """Warm calls find the shard in memory."""
    global _state
    if _state is None:
        _state = load_shard()
    return {
        "rank": RANK,
        "norm": float(sum(np.linalg.norm(np.asarray(_state[name], np.float64)) for name in event["tensors"])),
    }


if __name__ == "__main__":
    names = [info.tensor for info in tensord.Client(URL).plan("*")][:3]
    print(handler({"tensors": names}))
    print(handler({"tensors": names}))
