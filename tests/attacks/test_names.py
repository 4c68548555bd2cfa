"""What clients write is looked up, never opened (T3, P17)."""
import shutil

import grpc
import pytest
from wire import pb, rpc

from big_store import make_store

MARK = "mark-7f3a"  # In no path of ours.
NAMES = [MARK, f"../{MARK}", f"/{MARK}", f"../../../../../../{MARK}/x", f"big/../{MARK}", f"big.safetensors/{MARK}",
         f"file:///{MARK}", f"//proc/self/root/{MARK}", f"{MARK}\0.safetensors", f"%2e%2e%2f{MARK}", f"..\\{MARK}",
         f"big\n{MARK}", f"{MARK}@main", f"~/{MARK}", f"$HOME/{MARK}", f"{MARK}.json", "a" * 300 + MARK]


def requests(name):
    """Each text field of each RPC."""
    selection = pb.Selection(tensor="t")
    yield "ListModels", pb.ListModelsRequest(filter=name)
    yield "ListModels", pb.ListModelsRequest(page_token=name)
    yield "ListTensors", pb.ListTensorsRequest(model=name)
    yield "ListTensors", pb.ListTensorsRequest(model="big", pattern=name)
    yield "GetMetadata", pb.GetMetadataRequest(model=name)
    yield "GetMetadata", pb.GetMetadataRequest(model="big", tensor=name)
    yield "PeekTensor", pb.PeekTensorRequest(model=name, tensor=name)
    yield "GetTensor", pb.GetTensorRequest(model=name, tensor="t")
    yield "GetTensor", pb.GetTensorRequest(model="big", tensor=name)
    yield "GetTensor", pb.GetTensorRequest(model="big", tensor="t", version=name)
    yield "GetSlice", pb.GetSliceRequest(model="big", tensor="t", slice=name)
    yield "GetTensors", pb.GetTensorsRequest(model=name, selections=[selection])
    yield "GetTensors", pb.GetTensorsRequest(model="big", selections=[pb.Selection(pattern=name)])
    yield "ReadFile", pb.ReadFileRequest(model=name)
    yield "ReadFile", pb.ReadFileRequest(model="big", file=name)


@pytest.fixture
def traced(bin_dir, server, tmp_path):
    """A server whose calls to the system that name files are written down, and the file where."""
    assert shutil.which("strace"), "strace is missing"
    trace = tmp_path / "trace"
    from conftest import Server
    running = Server(["strace", "-D", "-f", "-qq", "-s", "4096", "-e", "trace=%file", "-o", str(trace),
                      str(bin_dir / "tensord"), "--store", str(make_store(tmp_path / "store")), "--listen", "127.0.0.1:0"])
    yield running, trace
    assert running.stop() == 0


def test_no_name_of_a_client_reaches_the_file_system(traced):
    running, trace = traced
    with grpc.insecure_channel(running.address) as channel:
        stub, asked = rpc.TensorStoreStub(channel), 0
        for name in NAMES:
            for method, request in requests(name):
                try:
                    answer = getattr(stub, method)(request, timeout=60)
                    list(answer) if hasattr(answer, "__next__") else None
                except grpc.RpcError as error:
                    assert error.code() not in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL), (method, name, error)
                asked += 1
    seen = trace.read_text(errors="backslashreplace")
    assert asked == len(NAMES) * 15 and "big.safetensors" in seen
    assert MARK not in seen
