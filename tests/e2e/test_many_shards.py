"""One call over more shards than the server may have open: it lets go of those that it has behind it, and looks at them again
when it needs them again."""
import json
import os
import resource

import grpc

from processes import num_fds, wait_until
from reading import CALL_SECONDS, open_channel, reason_of
from stores import write_raw
from wire import pb, rpc

SHARDS, SIZE = 300, 96 << 10  # Each large enough to be sent from where it is mapped.
LIMIT = (128, 128)  # Descriptors, of which a quarter is kept for files.


def content(shard, generation=1):
    return bytes([generation]) + b"%07d" % shard * (SIZE // 7)


def write_shard(directory, shard, generation=1):
    name = f"model-{shard + 1:05}-of-{SHARDS:05}.safetensors"
    data = content(shard, generation)
    write_raw(directory / "aside", {f"w{shard}": ("U8", (len(data),), data)}, pad=False)
    os.utime(directory / "aside", ns=(0, 1_600_000_000_000_000_000 + generation * 1_000_000_000))
    os.rename(directory / "aside", directory / name)
    return name


def start(server, tmp_path):
    (tmp_path / "big").mkdir()
    names = {f"w{shard}": write_shard(tmp_path / "big", shard) for shard in range(SHARDS)}
    (tmp_path / "big" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    return server(tmp_path, "--rescan-interval", "1h", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, LIMIT))


def read_in_order(stub, shards, pace=lambda result: None):
    """{number of the result: its bytes, or the reason of its error}, and how the call ended. `pace` is told of each header."""
    call = stub.GetTensors(pb.GetTensorsRequest(model="big", order=pb.RESULT_ORDER_REQUEST,
                                                selections=[pb.Selection(tensor=f"w{shard}") for shard in shards]),
                           timeout=CALL_SECONDS)
    results = {}
    try:
        for chunk in call:
            for part in chunk.parts:
                if part.HasField("header"):
                    results[part.result] = b""
                    pace(part.result)
                results[part.result] += part.data
                if part.HasField("error"):
                    results[part.result] = pb.ErrorReason.Name(part.error.reason)
    except grpc.RpcError as error:
        return results, (error.code(), reason_of(error))
    return results, (grpc.StatusCode.OK, "")


def test_more_shards_than_descriptors_in_one_call(server, tmp_path):
    running = start(server, tmp_path)
    fds = num_fds(running.pid)
    with open_channel(running.address) as channel:
        for order in (range(SHARDS), [*range(0, SHARDS, 2), *range(1, SHARDS, 2), 0, SHARDS - 1]):
            results, end = read_in_order(rpc.TensorStoreStub(channel), order)
            assert end == (grpc.StatusCode.OK, "")
            assert results == {number: content(shard) for number, shard in enumerate(order)}
    wait_until(lambda: num_fds(running.pid) <= fds + LIMIT[0] // 4, "but for a quarter, what was opened is closed")


def test_a_shard_that_was_let_go_is_not_taken_for_another(server, tmp_path):
    """Replaced after the call has read it once: read again, it is the old one, or an error; never the new one."""
    running = start(server, tmp_path)
    order = [*range(SHARDS), 0, 1]

    def replace(result):
        if result == SHARDS // 2:
            write_shard(tmp_path / "big", 0, generation=2)

    with open_channel(running.address) as channel:
        results, end = read_in_order(rpc.TensorStoreStub(channel), order, replace)
    again = results.pop(SHARDS)
    assert again in (content(0), "FILE_CHANGED")
    assert end in ((grpc.StatusCode.OK, ""), (grpc.StatusCode.DATA_LOSS, "FILE_CHANGED"))
    assert (end[0] == grpc.StatusCode.OK) == (again == content(0))
    assert results == {number: content(shard) for number, shard in enumerate(order) if number != SHARDS}
