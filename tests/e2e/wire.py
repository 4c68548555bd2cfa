"""The generated Python stub, and the few lines that an ordinary protobuf client needs to read a stream."""
import importlib
import sys
import tempfile
from pathlib import Path

import grpc
from grpc_tools import protoc

ROOT = Path(__file__).resolve().parents[2]


def _generate(folder):
    arguments = ["protoc", f"-I{ROOT / 'proto'}", f"--python_out={folder}", f"--grpc_python_out={folder}",
                 "tensord/v1/tensord.proto"]
    assert protoc.main(arguments) == 0
    sys.path.insert(0, folder)
    try:
        return [importlib.import_module(f"tensord.v1.{name}") for name in ("tensord_pb2", "tensord_pb2_grpc")]
    finally:
        sys.path.remove(folder)


# Each process has its own: a worker must not read what another is writing.
with tempfile.TemporaryDirectory() as folder:
    pb, rpc = _generate(folder)


def connect(address):
    channel = grpc.insecure_channel(address)
    grpc.channel_ready_future(channel).result(timeout=10)
    return channel, rpc.TensorStoreStub(channel)


class Result:
    """One result of a stream, put together by the proto's rules alone."""

    def __init__(self, header):
        self.tensor, self.dtype, self.shape = header.tensor, header.dtype, tuple(header.shape)
        self.size_bytes, self.selection = header.size_bytes, header.selection
        self.data = bytearray()
        self.error = None


def collect(stream):
    """(StreamInfo, {result number: Result}) of a tensor stream; asserts order and completeness on the way."""
    info, results, current = None, {}, None
    for chunk in stream:
        if info is None:
            assert chunk.HasField("info"), "the first message carries info"
            info = chunk.info
        else:
            assert not chunk.HasField("info"), "only the first message carries info"
        for part in chunk.parts:
            if part.HasField("header"):
                assert part.result not in results, "results are not interleaved"
                results[part.result] = current = Result(part.header)
                current.begin = part.offset_bytes
            assert results[part.result] is current, "a result's parts follow its header"
            if part.HasField("error"):
                current.error = part.error
                continue
            assert part.offset_bytes == current.begin + len(current.data), "offsets ascend without gap"
            current.data += part.data
    assert len(results) == info.num_results
    assert sum(len(result.data) for result in results.values()) == info.size_bytes
    return info, results


def list_all_tensors(store, model, **fields):
    tensors, token = [], ""
    while True:
        page = store.ListTensors(pb.ListTensorsRequest(model=model, page_token=token, **fields))
        tensors += page.tensors
        token = page.next_page_token
        if not token:
            return tensors


def list_all_models(store):
    models, token = [], ""
    while True:
        page = store.ListModels(pb.ListModelsRequest(page_token=token, page_size=3))
        models += page.models
        token = page.next_page_token
        if not token:
            return models
