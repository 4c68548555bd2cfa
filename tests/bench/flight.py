"""Yardstick: Arrow Flight's DoGet of a file's bytes, through pyarrow.

usage: flight.py serve LOCATION FILE | flight.py read LOCATION FILE OFFSET BYTES REPEATS SERVER_PID
"""
import json
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.flight as flight

BATCH_BYTES = 1 << 20  # As our chunks.


def process_cpu(pid):
    """Seconds of CPU of a process; ticks of 10 ms, so measure long enough."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / 100


class Server(flight.FlightServerBase):
    """Sends slices of the mapped file; everything after the first line is Arrow's C++."""

    def __init__(self, location, path):
        self.bytes = pa.py_buffer(np.memmap(path, dtype=np.uint8, mode="r"))
        super().__init__(location)

    def do_get(self, context, ticket):
        offset, size = json.loads(ticket.ticket)
        array = pa.Array.from_buffers(pa.uint8(), size, [None, self.bytes.slice(offset, size)])
        table = pa.table([array], names=["data"])
        reader = pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=BATCH_BYTES))
        return flight.RecordBatchStream(reader)


def read(client, offset, destination):
    at = 0
    for chunk in client.do_get(flight.Ticket(json.dumps([offset, len(destination)]))):
        column = chunk.data.column(0)
        data = np.frombuffer(column.buffers()[1], dtype=np.uint8, count=len(column), offset=column.offset)
        destination[at:at + len(data)] = data
        at += len(data)
    assert at == len(destination), f"{at} bytes arrived, wanted {len(destination)}"


def measure(location, path, offset, size, repeats, server):
    client = flight.connect(location)
    destination = np.ones(size, dtype=np.uint8)
    read(client, offset, destination)
    cpu, server_cpu, begin = time.process_time(), process_cpu(server), time.monotonic()
    for _ in range(repeats):
        read(client, offset, destination)
    result = {"seconds": time.monotonic() - begin, "bytes": size * repeats, "client_cpu_s": time.process_time() - cpu,
              "server_cpu_s": process_cpu(server) - server_cpu}
    assert np.array_equal(destination, np.memmap(path, dtype=np.uint8, mode="r")[offset:offset + size])
    print(json.dumps(result))


if __name__ == "__main__":
    command, location, path, *rest = sys.argv[1:]
    if command == "serve":
        server = Server(location, path)
        port = location if location.startswith("grpc+unix") else f"{location.rsplit(':', 1)[0]}:{server.port}"
        print(f"listening address={port}", file=sys.stderr, flush=True)
        threading.Event().wait()
    measure(location, path, *map(int, rest))
