"""The Python package against other ways to get tensors into a Python process, in one run: a table of medians, with ratios.

usage: tests/python/run.sh first; then build/python-venv-cpython-311/bin/python tests/bench/python.py [--mib N] [--repeats N]

Rows: a cold process up to its first tensor; a whole model; a 1/16 column slice of its largest matrix; 10,000 small tensors.
Columns: this package over a Unix socket and over TCP; a client of pure grpcio on the same server; pyarrow's Flight, whose server
sends the same bytes in batches of 1 MiB; the reference's safe_open on the local file, which moves nothing over any network.
All end in numpy arrays of their own, or, with --torch, in torch tensors; all but the first row on a connection, or an open file,
that exists already. Files are in the page cache.
"""

import argparse
import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SMALL_TENSORS, SMALL_SHAPE = 10_000, (8, 128)  # 4 KiB of F32 each.
BATCH_BYTES = 1 << 20  # As our chunks.
COLUMNS = 16  # The slice takes one of so many.


def make_store(directory, mib):
    """`large`: sixteen square matrices, `mib` MiB in all; `small`: 10,000 tensors. Rows whose sums tell a swap of columns."""
    from safetensors.numpy import save_file

    side = int((mib << 20) / 16 / 4) ** 0.5
    side = int(side) // COLUMNS * COLUMNS
    rng = np.random.default_rng(1)
    matrix = rng.standard_normal((side, side), dtype=np.float32)
    save_file({f"layer.{i}.weight": matrix + np.float32(i) for i in range(16)}, directory / "large.safetensors")
    block = rng.standard_normal(SMALL_SHAPE, dtype=np.float32)
    save_file({f"expert.{i}.scale": block + np.float32(i) for i in range(SMALL_TENSORS)}, directory / "small.safetensors")
    return side


# Each client has the same four methods; `first` runs in a process of its own.


class Tensord:
    def __init__(self, url, framework="np"):
        import tensord

        self.url, self.framework, self.safe_open = url, framework, tensord.safe_open
        self.client = tensord.Client(url)

    def first(self):
        with self.safe_open(f"{self.url}/small", framework=self.framework) as f:
            return f.get_tensor("expert.0.scale")

    def whole(self, model):
        return self.client.load(model=model, framework=self.framework)

    def columns(self, name, stop):
        return self.client.get_tensor(name, (slice(None), slice(stop)), model="large", framework=self.framework)


class PureGrpc:
    """What one writes with grpcio and the generated code."""

    def __init__(self, address, framework="np"):
        sys.path.insert(0, os.environ["GENERATED"])
        import grpc
        import tensord_pb2
        import tensord_pb2_grpc

        self.pb, self.finish = tensord_pb2, finisher(framework)
        self.store = tensord_pb2_grpc.TensorStoreStub(grpc.insecure_channel(address))

    def _collect(self, stream):
        arrays, names, at = [], [], 0
        for chunk in stream:
            for part in chunk.parts:
                if part.HasField("header"):
                    names.append(part.header.tensor)
                    arrays.append(np.empty(part.header.shape, "<f4"))
                    view, at = memoryview(arrays[-1]).cast("B"), 0
                view[at:at + len(part.data)] = part.data
                at += len(part.data)
        return dict(zip(names, map(self.finish, arrays), strict=True))

    def first(self):
        return self._collect(self.store.GetTensor(self.pb.GetTensorRequest(model="small", tensor="expert.0.scale")))

    def whole(self, model):
        request = self.pb.GetTensorsRequest(model=model, selections=[self.pb.Selection(pattern="*")])
        return self._collect(self.store.GetTensors(request))

    def columns(self, name, stop):
        request = self.pb.GetSliceRequest(model="large", tensor=name, slice=f"[:, :{stop}]")
        return next(iter(self._collect(self.store.GetSlice(request)).values()))


class Flight:
    def __init__(self, location, framework="np"):
        import pyarrow.flight as flight

        self.flight, self.client, self.finish = flight, flight.connect(location), finisher(framework)

    def _collect(self, **ticket):
        reader = self.client.do_get(self.flight.Ticket(json.dumps(ticket)))
        described = json.loads(reader.schema.metadata[b"tensors"])
        joined, at = np.empty(sum(int(np.prod(shape)) * 4 for shape in described.values()), np.uint8), 0
        for chunk in reader:
            column = chunk.data.column(0)
            data = np.frombuffer(column.buffers()[1], np.uint8, count=len(column), offset=column.offset)
            joined[at:at + len(data)] = data
            at += len(data)
        arrays, at = {}, 0
        for name, shape in described.items():
            size = int(np.prod(shape)) * 4
            arrays[name] = self.finish(joined[at:at + size].view("<f4").reshape(shape))
            at += size
        return arrays

    def first(self):
        return self._collect(model="small", tensor="expert.0.scale")

    def whole(self, model):
        return self._collect(model=model)

    def columns(self, name, stop):
        return self._collect(model="large", tensor=name, stop=stop)[name]


class Reference:
    def __init__(self, directory, framework="np"):
        import safetensors

        self.directory, self.framework, self.safe_open = directory, framework, safetensors.safe_open
        self.large = None

    def _open(self, model):
        return self.safe_open(f"{self.directory}/{model}.safetensors", framework=self.framework)

    def first(self):
        with self._open("small") as f:
            return f.get_tensor("expert.0.scale")

    def whole(self, model):
        with self._open(model) as f:
            if self.framework == "np":
                return {name: f.get_tensor(name) for name in f.keys()}
            return {name: f.get_tensor(name).clone() for name in f.keys()}  # They are the mapped file itself as yet.

    def columns(self, name, stop):
        self.large = self.large or self._open("large")  # As the others keep their connections.
        part = self.large.get_slice(name)[:, :stop]
        return part if self.framework == "np" else part.contiguous()  # Of torch's mapped tensors it is a view as yet.


def finisher(framework):
    """What makes the framework's array of a numpy array, without a copy."""
    if framework == "np":
        return lambda array: array
    import torch

    return torch.from_numpy


def serve_flight(directory):
    """Arrow's server, in a process of its own; sends mapped bytes as they are, and gathers a slice with numpy."""
    import pyarrow as pa
    import pyarrow.flight as flight
    import safetensors

    files = {model: safetensors.safe_open(f"{directory}/{model}.safetensors", framework="np") for model in ("large", "small")}
    mapped = {model: np.memmap(f"{directory}/{model}.safetensors", np.uint8, "r") for model in files}
    order = {model: file.offset_keys() for model, file in files.items()}
    shapes = {model: {n: file.get_slice(n).get_shape() for n in order[model]} for model, file in files.items()}

    class Server(flight.FlightServerBase):
        def do_get(self, context, ticket):
            wanted = json.loads(ticket.ticket)
            model, name = wanted["model"], wanted.get("tensor")
            data = mapped[model][8 + int.from_bytes(mapped[model][:8].tobytes(), "little"):]
            described = shapes[model]
            if name is not None:
                begin = 4 * sum(int(np.prod(described[n])) for n in order[model][:order[model].index(name)])
                shape = described[name]
                data = data[begin:begin + 4 * int(np.prod(shape))]
                if "stop" in wanted:
                    data = np.ascontiguousarray(data.view("<f4").reshape(shape)[:, :wanted["stop"]]).view(np.uint8).reshape(-1)
                    shape = [shape[0], wanted["stop"]]
                described = {name: shape}
            array = pa.Array.from_buffers(pa.uint8(), len(data), [None, pa.py_buffer(data)])
            schema = pa.schema([("data", pa.uint8())], metadata={"tensors": json.dumps(described)})
            batches = pa.table([array], schema=schema).to_batches(max_chunksize=BATCH_BYTES)
            return flight.RecordBatchStream(pa.RecordBatchReader.from_batches(schema, batches))

    server = Server("grpc://127.0.0.1:0")
    print(f"listening address=grpc://127.0.0.1:{server.port}", file=sys.stderr, flush=True)
    server.wait()


@contextlib.contextmanager
def serving(command):
    """A server's address on standard error, until the end."""
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if found := re.search(r"listening address=\"?([^\s\"]+)", line):
                break
        else:
            raise SystemExit(f"{command} did not start")
        import threading

        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield found.group(1)
    finally:
        process.terminate()
        process.wait()


def measure(tasks, repeats):
    """{name: seconds of each round}. All take turns, so that what disturbs the machine disturbs all; one round before warms up."""
    seconds = {name: [] for name in tasks}
    for round_ in range(repeats + 1):
        for name, task in tasks.items():
            begin = time.perf_counter()
            result = task()
            if round_:
                seconds[name].append(time.perf_counter() - begin)
            del result
    return seconds


def check_same(clients, side):
    """All clients mean the same bytes."""
    want = {name: np.asarray(client.columns("layer.7.weight", side // COLUMNS)) for name, client in clients.items()}
    first = next(iter(want.values()))
    for name, got in want.items():
        assert np.array_equal(got, first), f"{name} read other values"
    names = {name: set(client.whole("small")) for name, client in clients.items()}
    assert all(len(found) == SMALL_TENSORS for found in names.values())


def rows(makers, side, repeats):
    """(row, {client: seconds of each round})."""
    program = [sys.executable, __file__, "--first"]
    yield "cold process to first tensor", measure(
        {name: lambda s=spec: subprocess.run([*program, json.dumps(s)], check=True) for name, spec in makers.items()}, repeats)
    clients = {name: make(spec) for name, spec in makers.items()}
    check_same(clients, side)
    tasks = {
        f"whole model, {16 * side * side * 4 >> 20} MiB": lambda c: c.whole("large"),
        f"1/{COLUMNS} columns of {side * side * 4 >> 20} MiB": lambda c: c.columns("layer.7.weight", side // COLUMNS),
        f"{SMALL_TENSORS:,} tensors of 4 KiB": lambda c: c.whole("small"),
    }
    for row, task in tasks.items():
        yield row, measure({name: lambda c=client: task(c) for name, client in clients.items()}, repeats)


def cell(seconds, base):
    """Median in ms, how many times tensord's over unix, and the fastest and the slowest round."""
    low, middle, high = (1000 * f(seconds) for f in (min, statistics.median, max))
    return f" {middle:.1f} ({middle / 1000 / base:.2f}) {low:.1f}-{high:.1f} |"


def make(spec):
    kind, *arguments = spec
    return globals()[kind](*arguments)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--torch", action="store_true")
    parser.add_argument("--first")
    parser.add_argument("--serve-flight")
    options = parser.parse_args()
    if options.first:
        make(json.loads(options.first)).first()
        return
    if options.serve_flight:
        serve_flight(options.serve_flight)
        return
    binary = Path(os.environ.get("TENSORD_BIN", ROOT / "build" / "release" / "bin")) / "tensord"
    framework = "pt" if options.torch else "np"
    with tempfile.TemporaryDirectory() as scratch, contextlib.ExitStack() as stack:
        os.environ["GENERATED"] = scratch
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", "-I", ROOT / "proto/tensord/v1", f"--python_out={scratch}",
                        f"--grpc_python_out={scratch}", "tensord.proto"], check=True)
        store = Path(scratch, "store")
        store.mkdir()
        side = make_store(store, options.mib)
        socket = f"{scratch}/tensord.sock"
        flags = ["--listen", "127.0.0.1:0", "--listen", f"unix:{socket}"]  # The first one is told first.
        tcp = stack.enter_context(serving([binary, "--store", store, *flags]))
        flight = stack.enter_context(serving([sys.executable, __file__, "--serve-flight", store]))
        makers = {
            "tensord, unix": ["Tensord", f"tensord+unix://{socket}", framework],
            "tensord, tcp": ["Tensord", f"tensord://{tcp}", framework],
            "pure grpcio, unix": ["PureGrpc", f"unix:{socket}", framework],
            "Flight, tcp": ["Flight", flight, framework],
            "reference, local file": ["Reference", str(store), framework],
        }
        print(f"medians of {options.repeats} rounds in ms, how many times tensord's over unix, the fastest and the slowest; "
              f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} processors, {framework}")
        print("| |" + "".join(f" {name} |" for name in makers) + "\n|---|" + "---:|" * len(makers))
        for row, seconds in rows(makers, side, options.repeats):
            base = statistics.median(seconds["tensord, unix"])
            print(f"| {row} |" + "".join(cell(s, base) for s in seconds.values()), flush=True)
        print(f"load at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
