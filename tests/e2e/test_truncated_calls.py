"""Truncation under every call that looks into a file, at random moments: decoding, listings, original files, batches over
shards, headers that are read at first use; over a Unix socket too. Right bytes or a reason, and nobody else notices (P1, P2,
P3)."""
import shutil
import threading

import grpc
import numpy as np
import pytest

from fault_rounds import ROUNDS, rounds
from processes import wait_until
from reading import CALL_SECONDS, Background, judge, open_channel, read, reason_of
from wire import pb, rpc
from words import Model, Truth

# Any of them may meet a model that is whole, broken, known as broken, or gone.
REASONS = {"FILE_CHANGED", "FILE_INVALID", "READ_ERROR", "TENSOR_NOT_FOUND", "MODEL_NOT_FOUND", "VERSION_CHANGED", "SHARD_MISSING",
           "FILE_NOT_FOUND"}


def peek(stub, model, chance):
    row = chance.randrange(1024)
    answer = stub.PeekTensor(pb.PeekTensorRequest(model=model.name, tensor="t", slice=f"[{row}, 3:900:2]"),
                             timeout=CALL_SECONDS)
    values = np.array(answer.uints, np.uint64)
    generation = values[0] >> np.uint64(48)
    wanted = (np.arange(row * 1024, (row + 1) * 1024, dtype=np.uint64) + (generation << np.uint64(48)))[3:900:2]
    assert 0 < generation <= model.generation and np.array_equal(values, wanted[:len(values)]), "wrong values"


def read_file(stub, model, chance):
    begin = chance.randrange(model.size_bytes)
    data, end = bytearray(), None
    request = pb.ReadFileRequest(model=model.name, file=model.path.name, range=pb.ByteRange(offset=begin))
    for chunk in stub.ReadFile(request, timeout=CALL_SECONDS):
        end = chunk.info.size_bytes if chunk.HasField("info") else end
        data += chunk.data
    whole = model.path.with_suffix(".whole").read_bytes()
    assert (end, len(data)) == (len(whole), len(whole) - begin) and data == whole[begin:], "wrong bytes"


def list_tensors(stub, model, chance):
    tensors = stub.ListTensors(pb.ListTensorsRequest(model=model.name), timeout=CALL_SECONDS).tensors
    assert {tensor.name for tensor in tensors} <= set(model.tensors)


def get_metadata(stub, model, chance):
    tensor = stub.GetMetadata(pb.GetMetadataRequest(model=model.name, tensor="t"), timeout=CALL_SECONDS).tensor
    assert list(tensor.shape) == [1024, 1024]


CALLS = {call.__name__: call for call in (peek, read_file, list_tensors, get_metadata)}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_beside_truncation(server, tmp_path, call):
    """With room for the header of one model only, so that they are read and mapped again and again."""
    (tmp_path / "store").mkdir()
    neighbour = Model(tmp_path / "store", "neighbour").replace()
    victim = Model(tmp_path / "store", "victim").replace()
    shutil.copy2(victim.path, victim.path.with_suffix(".whole"))
    truth = Truth([neighbour, victim])
    running = server(tmp_path / "store", "--listen", f"unix:{tmp_path / 's'}", "--index-memory", "1MiB", "--max-open-files", "16")
    with open_channel(f"unix:{tmp_path / 's'}") as channel:
        stub = rpc.TensorStoreStub(channel)
        for chance in rounds(f"{call} beside truncation"):
            size = chance.choice([0, chance.randrange(200), chance.randrange(victim.size_bytes)])
            timer = threading.Timer(chance.uniform(0, 0.006), victim.truncate, [size])
            timer.start()
            beside = Background(read, stub, "neighbour")
            try:
                for _ in range(4):
                    CALLS[call](stub, victim, chance)
            except grpc.RpcError as error:
                assert reason_of(error) in REASONS, error
            timer.join()
            other = beside.join()
            assert other.ok, f"the neighbour: {other}"
            judge(truth, other)
            assert running.process.poll() is None, running.log
            shutil.copy2(victim.path.with_suffix(".whole"), tmp_path / "again")
            (tmp_path / "again").rename(victim.path)
            wait_until(lambda: read(stub, "victim", "small").ok, "what was mended is served")


def test_a_truncated_shard_fails_its_results_only(server, tmp_path):
    """A batch over two shards: those of the broken one carry an error, the others come whole, the end is DATA_LOSS."""
    rows, victims = (1024, 512), []
    for number in range(ROUNDS):
        directory = tmp_path / f"m{number}"
        directory.mkdir()
        for shard in (1, 2):
            part = Model(directory, f"model-0000{shard}-of-00002", {f"s{shard}.{i}": rows for i in range(4)}).replace()
        victims.append(part)
    running = server(tmp_path)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for chance, (number, victim) in zip(rounds("a truncated shard in a batch"), enumerate(victims)):
            cut_at, seen, failed = chance.randrange(1, 20), {}, set()
            request = pb.GetTensorsRequest(model=f"m{number}", selections=[pb.Selection(pattern="*")], checksum=chance.random() < 0.5)
            call = stub.GetTensors(request, timeout=CALL_SECONDS)
            names = {}
            try:
                for message, chunk in enumerate(call):
                    for part in chunk.parts:
                        if part.HasField("header"):
                            names[part.result] = part.header.tensor
                        if part.HasField("error"):
                            failed.add(part.result)
                            assert part.error.reason == pb.FILE_CHANGED
                        seen.setdefault(part.result, bytearray()).extend(part.data)
                    if message == cut_at:
                        victim.truncate(chance.randrange(victim.size_bytes))
                assert not failed, "OK, but a result failed"
                whole = set(names)
            except grpc.RpcError as error:
                assert (error.code(), reason_of(error)) == (grpc.StatusCode.DATA_LOSS, "FILE_CHANGED"), error
                whole = {result for result in names if names[result].startswith("s1.")}
                assert len(whole) == 4 and not whole & failed, "a whole shard's tensors all arrive"
            for result in whole:
                check_words(seen[result], int(names[result].split(".")[1]), rows)


def check_words(data, number, shape):
    wanted = np.arange(int(np.prod(shape)), dtype=np.uint64) + np.uint64(1 << 48 | number << 40)
    assert np.array_equal(np.frombuffer(data, np.uint64), wanted), "wrong bytes"
