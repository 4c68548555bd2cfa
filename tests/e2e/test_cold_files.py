"""Files that are not in memory: what is fetched beside a stream are the bytes that it sends."""
import os
import random

import pytest

from reading import CALL_SECONDS, open_channel
from stores import write_raw
from wire import pb, rpc

ROWS, COLUMNS = 4096, 6000  # 24 MB: several windows of what is read ahead.


@pytest.fixture(params=["mmap", "pread"])
def cold(request, server, tmp_path):
    """(stub, rows, path) of a server that has touched nothing of the tensor in its file."""
    data = random.Random(24).randbytes(ROWS * COLUMNS)
    path = tmp_path / "cold.safetensors"
    write_raw(path, {"t": ("U8", (ROWS, COLUMNS), data)})
    running = server(tmp_path, "--read-mode", request.param)
    with open(path, "rb") as file:
        os.fdatasync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with open_channel(running.address) as channel:
        yield rpc.TensorStoreStub(channel), [data[row * COLUMNS:(row + 1) * COLUMNS] for row in range(ROWS)], path


@pytest.mark.parametrize("rows, columns", [((0, ROWS), (0, COLUMNS)), ((1000, 3001), (0, COLUMNS)), ((0, ROWS), (5, 705))])
def test_a_slice_of_a_cold_file_has_its_bytes(cold, rows, columns):
    stub, content, _ = cold
    text = f"[{rows[0]}:{rows[1]}, {columns[0]}:{columns[1]}]"
    call = stub.GetSlice(pb.GetSliceRequest(model="cold", tensor="t", slice=text), timeout=CALL_SECONDS)
    received = b"".join(part.data for chunk in call for part in chunk.parts)
    assert received == b"".join(row[columns[0]:columns[1]] for row in content[rows[0]:rows[1]])


def test_a_cold_file_itself_has_its_bytes(cold):
    stub, _, path = cold
    call = stub.ReadFile(pb.ReadFileRequest(model="cold", file=path.name), timeout=CALL_SECONDS)
    assert b"".join(chunk.data for chunk in call) == path.read_bytes()
