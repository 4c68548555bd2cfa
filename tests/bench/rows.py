"""The rows of the benchmark's table, as data: what is measured, against what, and the goal (a ratio ours / yardstick
unless the yardstick is None)."""
import subprocess
import sys
import time
from dataclasses import dataclass

from limits import Link, MemoryLimit
from workbench import HERE, NotMeasured, Relay, cpu_of

MIB = 1 << 20


@dataclass(frozen=True)
class Figure:
    """What of a program's result a row shows."""
    unit: str
    of: object  # dict -> float
    digits: int = 2


def cpu(result):
    return result["client_cpu_s"] + result["server_cpu_s"]


RATE = Figure("GB/s", lambda r: r["bytes"] / r["seconds"] / 1e9)
CPU = Figure("CPU s/GB", lambda r: cpu(r) / r["bytes"] * 1e9, 3)
PER_BYTE = Figure("s/GB", lambda r: r["seconds"] / r["bytes"] * 1e9, 3)
P50 = Figure("us p50", lambda r: r["p50_us"], 0)
P99 = Figure("us p99", lambda r: r["p99_us"], 0)
P50_MS = Figure("ms p50", lambda r: r["p50_us"] / 1e3)
EACH = Figure("us each", lambda r: r["seconds"] / r["items"] * 1e6)
SECONDS = Figure("s", lambda r: r["seconds"], 3)
SERVER_ANON = Figure("MiB", lambda r: r["server_anon_bytes"] / MIB, 1)
CLIENT_EXTRA = Figure("MiB", lambda r: (r["client_anon_bytes"] - r["destination_bytes"]) / MIB, 1)
WIRE = Figure("x", lambda r: r["wire_ratio"], 4)
DISK = Figure("x", lambda r: r["disk_ratio"], 3)
SPREAD = Figure("x", lambda r: r["slowest_by_fastest"], 2)


@dataclass(frozen=True)
class Row:
    title: str
    goal: str  # ">= 0.90": of the ratio, or of our figure when there is no yardstick. "report": none.
    figure: Figure
    ours: str
    yardstick: str = None


@dataclass
class Group:
    """Measures that take turns in each round, and the rows they make. `raw` judges how steady the machine was."""
    name: str
    measures: dict  # name -> function of a Workbench, returns a result
    rows: list
    raw: str = None
    rounds: int = None  # None: as the command line says.
    timed: bool = True  # Else no time is judged, and the rounds need not be quiet.


# Files are read, not mapped, as on network file systems.
PREAD = ("--read-mode", "pread")


# ---- Measures ----

def size(b):
    """Not more: each program faults its destination anew, and a guest whose host takes free memory back is slow for a while
    after it has taken much."""
    return (64 if b.quick else 128) * MIB


def repeats(b):
    return 2 if b.quick else 3


def transfers(b):
    """Of size(b)."""
    return 2 if b.quick else 8


def ours(kind, connections=1, *options, store="big", bytes=None, times=None, flags=()):
    def measure(b):
        server = b.tensord(store, *flags)
        return b.run("tensord_read", "--address", server.address(kind), "--model", store, "--tensor", "t",
                     "--connections", connections, "--repeats", times or transfers(b), *options,
                     *b.subject(store, bytes or size(b)), server=server)
    return measure


def raw(kind, connections=1, bytes=None, times=None):
    def measure(b):
        server = b.yardstick("raw_server", kind, "big")
        return b.run("raw_client", "--address", server.address(kind), "--connections", connections,
                     "--repeats", times or transfers(b), *b.subject("big", bytes or size(b)), server=server)
    return measure


def naive(kind, connections=1):
    def measure(b):
        server = b.yardstick("naive_server", kind, "big")
        return b.run("naive_client", "--address", server.address(kind), "--connections", connections,
                     "--repeats", transfers(b), *b.subject("big", size(b)), server=server)
    return measure


def ours_by_tls(b):
    server = b.tensord_tls("big")
    return b.run("tensord_read", "--address", server.addresses[0], "--tls-ca", b.tls_ca, "--model", "big", "--tensor", "t",
                 "--connections", 1, "--repeats", transfers(b), *b.subject("big", size(b)), server=server)


def nginx(kind, connections=1):
    def measure(b):
        server = b.nginx()
        path = "big/big/model.safetensors"
        where = {"unix": ["--url", f"http://localhost/{path}", "--unix-socket", server.unix_socket],
                 "tcp": ["--url", f"http://127.0.0.1:{server.port}/{path}"],
                 "tls": ["--url", f"https://127.0.0.1:{server.tls_port}/{path}", "--ca-file", b.tls_ca]}[kind]
        return b.run("curl_client", *where, "--connections", connections, "--repeats", transfers(b),
                     *b.subject("big", size(b)), server=server)
    return measure


def flight(kind):
    def measure(b):
        server = b.flight(kind, "big")
        _, path, _, offset, _, length = b.subject("big", size(b))
        return b.run_command([sys.executable, HERE / "flight.py", "read", server.address(kind), path, offset, length,
                              transfers(b), server.pids[0]])
    return measure


def many(store, *options, times=None):
    def measure(b):
        server = b.tensord(store)
        return b.run("tensord_many", "--address", server.address("unix"), "--model", store, "--directory",
                     b.store(store) / store, "--repeats", times or 2 * repeats(b), *options, server=server)
    return measure


def as_one(store, share=1):
    """As many bytes as a model has, or a share of them, as part of one tensor."""
    def measure(b):
        total = sum(path.stat().st_size for path in (b.store(store) / store).glob("*.safetensors"))
        return ours("unix", bytes=min(total // share, 1024 * MIB), times=2 * repeats(b))(b)
    return measure


def columns(row_share, *options, times=None, flags=()):
    """Columns of a matrix of 16 KiB rows: 1 / row_share of each row."""
    def measure(b):
        server = b.tensord("big", *flags)
        return b.run("tensord_columns", "--address", server.address("unix"), "--model", "big", "--tensor", "t",
                     "--row-bytes", 16384, "--columns-bytes", 16384 // row_share, "--begin", 16384 // row_share,
                     "--repeats", times or repeats(b), *options, *b.subject("big"), server=server)
    return measure


def wire_bytes(b):
    """What the server sends for a column slice of 128 B rows, all of HTTP/2 included."""
    server = b.tensord("big")
    relay = Relay(b.scratch / "relay", server.address("unix"))
    result = b.run("tensord_columns", "--address", relay.address, "--model", "big", "--tensor", "t", "--row-bytes", 16384,
                   "--columns-bytes", 128, "--warm-ups", 0, *b.subject("big"), server=server)
    return result | {"wire_ratio": relay.received / result["bytes"]}


def first_byte(b):
    return first_byte_of(b, b.tensord("small"), "unix")


def first_byte_by_tls(b):
    return first_byte_of(b, b.tensord_tls("small"), "tcp", "--tls-ca", b.tls_ca)


def first_byte_of(b, server, kind, *options):
    return b.run("first_byte", "--address", server.address(kind), *options, "--model", "small", "--tensor", "layers.0.w",
                 "--repeats", 5 if b.quick else 21, server=server)


def reference(b):
    return b.run_command([sys.executable, HERE / "reference_load.py",
                          b.store("layered") / "layered" / "model.safetensors", repeats(b)])


def stalled(*options, flags=()):
    def measure(b):
        server = b.tensord("big", *flags)
        result = b.run("stalled_readers", "--address", server.address("unix"), "--model", "big", "--tensor", "t",
                       "--seconds", 1 if b.quick else 3, *options, server=server)
        b.stop_server(" ".join(["tensord", "big", *flags]))  # Its heap remembers.
        if result["refused"]:
            raise RuntimeError(f"{result['refused']} streams were refused")
        return result
    return measure


def client_memory(b):
    return ours("unix", 1, "--whole", "--sample-memory", bytes=1024 * MIB, times=1)(b)


def cold_bytes(b):
    return (256 if b.quick else 1024) * MIB


# The program that reads drops the cache, its destination faulted and its server ready: not before, see DropCaches.
COLD = ("--warm-ups", 0, "--drop-caches")


def cold_ours(*flags):
    def measure(b):
        b.stop_server("tensord cold")  # It maps the file.
        b.stop_server(" ".join(["tensord", "cold", *flags]))
        return ours("unix", 1, *COLD, store="cold", bytes=cold_bytes(b), times=1, flags=flags)(b)
    return measure


def cold_pread(threads):
    def measure(b):
        b.stop_server("tensord cold")
        return b.run("cold_read", "--threads", threads, *COLD, *b.subject("cold", cold_bytes(b)))
    return measure


def cold_dd(b):
    b.stop_server("tensord cold")
    b.drop_caches()
    path, begin = b.subject("cold")[1], time.monotonic()
    subprocess.run(["dd", f"if={path}", "of=/dev/null", "bs=4M", f"count={cold_bytes(b) // (4 * MIB)}"], check=True,
                   capture_output=True)
    return {"seconds": time.monotonic() - begin, "bytes": cold_bytes(b), "client_cpu_s": 0, "server_cpu_s": 0}


def better_cold(b):
    return max((cold_dd(b), cold_pread(2)(b), cold_pread(4)(b)), key=RATE.of)


def small_calls(b, server, seconds):
    return b.run("tensord_read", "--address", server.address("unix"), "--model", "cold", "--tensor", "t", "--repeats", 50,
                 "--at-least-seconds", seconds, *b.subject("cold", 4096), server=server)


def small_idle(b):
    return small_calls(b, b.tensord("cold"), 0.5)


def small_beside_cold(b):
    """Small calls as long as a cold stream runs on the same server; their bytes are cached."""
    b.stop_server("tensord cold")
    b.drop_caches()
    server = b.tensord("cold")
    small_calls(b, server, 0)
    stream = b.start("tensord_read", "--address", server.address("unix"), "--model", "cold", "--tensor", "t",
                     "--warm-ups", 0, *b.subject("cold"))
    result = small_calls(b, server, 0.3)
    return result | {"cold_stream": b.finish(stream)}


def workers(b, count=8):
    """Worker processes that each load their shard of one model, cold, at once."""
    b.stop_server("tensord layered")
    b.drop_caches()
    server = b.tensord("layered")
    directory = b.store("layered") / "layered"
    before = disk_bytes(server.pids[0])
    running = [b.start("tensord_many", "--address", server.address("unix"), "--model", "layered", "--directory", directory,
                       "--shard-count", count, "--shard-index", i, "--warm-ups", 0) for i in range(count)]
    results = [b.finish(process) for process in running]
    file_bytes = (directory / "model.safetensors").stat().st_size
    seconds = [result["seconds"] for result in results]
    return {"disk_ratio": (disk_bytes(server.pids[0]) - before) / file_bytes, "bytes": file_bytes, "seconds": max(seconds),
            "slowest_by_fastest": max(seconds) / min(seconds), "workers": results, "client_cpu_s": 0,
            "server_cpu_s": cpu_of(server.pids[0])}


def disk_bytes(pid):
    with open(f"/proc/{pid}/io") as file:
        return int(next(line for line in file if line.startswith("read_bytes")).split()[1])


def start_up(store, model, tensor):
    def measure(b):
        path = b.scratch / "start-up"
        return b.run("start_up", "--unix-socket", path, "--model", model, "--tensor", tensor, "--",
                     *b.tensord_command(b.store(store), f"unix:{path}"))
    return measure


def ours_from_afar(round_trip_ms):
    def measure(b):
        server = b.tensord("big")
        return b.run("tensord_read", "--address", b.far(server, round_trip_ms).addresses[0], "--model", "big", "--tensor", "t",
                     "--repeats", 2, *b.subject("big", size(b)), server=server)
    return measure


def raw_from_afar(round_trip_ms):
    def measure(b):
        server = b.yardstick("raw_server", "tcp", "big")
        return b.run("raw_client", "--address", b.far(server, round_trip_ms).addresses[0], "--connections", 1,
                     "--repeats", 2, *b.subject("big", size(b)), server=server)
    return measure


def link(b):
    return b.server("link", Link)


def link_read(b, server, size, *options):
    return ["tensord_read", "--address", server.addresses[0], "--model", "big", "--tensor", "t", *options, *b.subject("big", size)]


def tensord_at_link(b):
    return b.tensord_at(f"{Link.ADDRESS}:0", "big", "--insecure-allow-remote")


def link_bytes(b):
    return (32 if b.quick else 256) * MIB


def ours_by_link(b):
    prefix, server = link(b).prefix, tensord_at_link(b)
    return b.run(*link_read(b, server, link_bytes(b), "--repeats", 1), server=server, prefix=prefix)


def raw_by_link(b):
    prefix, server = link(b).prefix, b.yardstick("raw_server", "tcp", "big", Link.ADDRESS)
    return b.run("raw_client", "--address", server.addresses[0], "--connections", 1, "--repeats", 1,
                 *b.subject("big", link_bytes(b)), server=server, prefix=prefix)


def workers_by_link(command, count=16):
    """As many worker processes as that, each of which reads as much as it gets in a few seconds; `command(b)`: how."""
    def measure(b):
        prefix, words = link(b).prefix, command(b)
        running = [b.start(*words, "--repeats", 1, "--at-least-seconds", 2 if b.quick else 10, prefix=prefix) for _ in range(count)]
        results = [b.finish(process) for process in running]
        rates = [RATE.of(result) for result in results]
        return {"slowest_by_fastest": max(rates) / min(rates), "bytes": sum(result["bytes"] for result in results),
                "seconds": max(result["seconds"] for result in results), "client_cpu_s": 0, "server_cpu_s": 0}
    return measure


def ours_at_link(b):
    return link_read(b, tensord_at_link(b), MIB)


def raw_at_link(b):
    server = b.yardstick("raw_server", "tcp", "big", Link.ADDRESS)
    return ["raw_client", "--address", server.addresses[0], "--connections", 1, *b.subject("big", MIB)]


PRESSURE = 4  # How many times as large as the memory limit the model is.
STAGGER_SECONDS = 0.05


def under_pressure(b, count=8):
    """Worker processes that read one model, one a little after the other, from a server that cannot keep it in memory."""
    model_bytes = (b.store("cold") / "cold" / "model.safetensors").stat().st_size
    b.stop_servers()
    b.drop_caches()
    limit = b.server("memory limit", lambda: MemoryLimit(model_bytes // PRESSURE))
    server = b.tensord_at(f"unix:{b.scratch}/pressure", "cold", prefix=limit.prefix)
    before, running = disk_bytes(server.pids[0]), []
    for _ in range(count):
        running.append(b.start("tensord_read", "--address", server.addresses[0], "--model", "cold", "--tensor", "t",
                               "--warm-ups", 0, "--repeats", 1, *b.subject("cold")))
        time.sleep(STAGGER_SECONDS)
    results = [b.finish(process) for process in running]
    read_bytes = disk_bytes(server.pids[0]) - before
    b.stop_servers()
    return {"disk_ratio": read_bytes / model_bytes, "bytes": count * model_bytes, "seconds": max(each["seconds"] for each in results),
            "client_cpu_s": 0, "server_cpu_s": 0}


FAR_MS = (1, 5, 20)  # Round trips: within a zone, between zones, between regions.


# ---- Rows ----

def stream_group(kind, name):
    rows = [
        Row(f"one stream, {name}, vs raw", ">= 0.90", RATE, "ours", "raw"),
        Row(f"one stream, {name}, vs nginx + libcurl", ">= 1.3", RATE, "ours", "nginx"),
        Row(f"one stream, {name}, vs Arrow Flight", ">= 1.2", RATE, "ours", "flight"),
        Row(f"one stream, {name}, vs naive protobuf", ">= 2.2", RATE, "ours", "naive"),
        Row(f"CPU of both sides, {name}, vs raw", "<= 1.4", CPU, "ours", "raw"),
        Row(f"CPU of both sides, {name}, vs nginx + libcurl", "<= 1.3", CPU, "ours", "nginx"),
    ]
    measures = {"ours": ours(kind), "raw": raw(kind), "nginx": nginx(kind),
                "flight": flight(kind), "naive": naive(kind)}
    return Group(f"stream {kind}", measures, rows, raw="raw")


def connections_group(kind, name, count):
    measures = {"ours": ours(kind, count), "raw": raw(kind, count), "nginx": nginx(kind, count), "one": ours(kind)}
    rows = [Row(f"{count} connections, {name}, vs nginx + libcurl", ">= 1.0", RATE, "ours", "nginx"),
            Row(f"{count} connections, {name}, vs raw", "report", RATE, "ours", "raw"),
            Row(f"{count} connections, {name}, vs one connection of ours", "report", RATE, "ours", "one")]
    return Group(f"{count} connections {kind}", measures, rows, raw="raw")


GROUPS = [
    stream_group("unix", "Unix socket"),
    stream_group("tcp", "TCP loopback"),
    *(connections_group(kind, name, count) for kind, name in (("unix", "Unix socket"), ("tcp", "TCP loopback"))
      for count in (2, 4)),
    Group("one MiB", {"ours": ours("unix", bytes=MIB, times=200), "raw": raw("unix", bytes=MIB, times=200)},
          [Row("one 1 MiB tensor, warm connection, vs raw", "<= 1.5", P50, "ours", "raw")], raw="raw"),
    Group("many", {"small": many("small"), "deepseek": many("deepseek"), "one": as_one("deepseek"),
                   "shard": many("deepseek", "--shard-count", 8, "--shard-index", 3), "one8": as_one("deepseek", 8),
                   "raw": raw("unix")},
          [Row("10,000 tensors of 4 KiB, GetTensors", "<= 1.5", EACH, "small"),
           Row("91,991 tensors of DeepSeek-V3, vs one tensor as large", "<= 1.2", PER_BYTE, "deepseek", "one"),
           Row("91,991 tensors, a shard of each (1/8)", "<= 1.5", EACH, "shard"),
           Row("91,991 shards, vs one tensor as large", "<= 1.2", PER_BYTE, "shard", "one8")], raw="raw"),
    Group("columns", {"narrow": columns(128, times=8), "contiguous": ours("unix", bytes=8 * MIB, times=50),
                      "raw": raw("unix", bytes=8 * MIB, times=50)},
          [Row("column slice, 128 B rows: payload rate vs contiguous", ">= 0.6", RATE, "narrow", "contiguous")], raw="raw"),
    Group("wire", {"ours": wire_bytes}, [Row("column slice: bytes on the wire by bytes of the slice", "<= 1.01", WIRE, "ours")],
          rounds=1, timed=False),
    Group("tp8", {"ours": columns(8), "whole": columns(8, "--at-client", "--warm-ups", 0, times=1), "raw": raw("unix")},
          [Row("TP=8 columns of 1 GiB, vs whole and slice at the client", ">= 7", RATE, "ours", "whole")], raw="raw"),
    Group("tls", {"tls": ours_by_tls, "plain": ours("tcp"), "nginx": nginx("tls"), "raw": raw("tcp")},
          [Row("TLS, vs plaintext", ">= 0.3", RATE, "tls", "plain"),
           Row("TLS, vs nginx TLS + libcurl", ">= 0.8", RATE, "tls", "nginx")], raw="raw"),
    Group("first byte", {"ours": first_byte, "tls": first_byte_by_tls},
          [Row("exec of a client to first byte, Unix socket", "<= 5", P50_MS, "ours"),
           Row("exec of a client to first byte, TLS", "<= 25", P50_MS, "tls")]),
    Group("model", {"ours": many("layered", "--fresh", times=2), "reference": reference},
          [Row("whole model into owned memory, vs safetensors library", "<= 1.5", PER_BYTE, "ours", "reference")]),
    Group("workers", {"ours": workers},
          [Row("8 workers, sharded load, cold: bytes from disk by file", "<= 1.05", DISK, "ours"),
           Row("8 workers: slowest by fastest", "<= 1.2", SPREAD, "ours")], rounds=3),
    Group("stalled mapped", {"ours": stalled()},
          [Row("server memory, 256 stalled readers, mapped", "<= 32", SERVER_ANON, "ours")], rounds=3, timed=False),
    Group("stalled gathered", {"ours": stalled("--slice", "[:, :4096]")},
          [Row("server memory, 256 stalled readers, gathered", "<= 96", SERVER_ANON, "ours")], rounds=3, timed=False),
    Group("stalled pread", {"ours": stalled(flags=PREAD)},
          [Row("server memory, 256 stalled readers, pread", "<= 96", SERVER_ANON, "ours")], rounds=3, timed=False),
    Group("client memory", {"ours": client_memory},
          [Row("client memory beyond the destination, 1 GiB", "<= 32", CLIENT_EXTRA, "ours")], rounds=3, timed=False),
    Group("cold", {"ours": cold_ours(), "pread": cold_ours(*PREAD), "best": better_cold},
          [Row("cold file, vs the better of dd and parallel reads", ">= 0.9", RATE, "ours", "best"),
           Row("cold file, --read-mode pread, vs the same", "report", RATE, "pread", "best")], raw="best"),
    Group("pread", {"pread": ours("unix", flags=PREAD), "mmap": ours("unix"),
                    "pread columns": columns(8, flags=PREAD), "mmap columns": columns(8), "raw": raw("unix")},
          [Row("--read-mode pread, local disk, one stream, vs mmap", "report", RATE, "pread", "mmap"),
           Row("--read-mode pread, CPU of both sides, vs mmap", "report", CPU, "pread", "mmap"),
           Row("--read-mode pread, TP=8 columns, vs mmap", "report", RATE, "pread columns", "mmap columns")], raw="raw"),
    Group("latency", {"idle": small_idle, "beside": small_beside_cold},
          [Row("p99 of a 4 KiB call beside a cold stream, vs idle", "<= 3", P99, "beside", "idle")]),
    Group("checksum", {"on": ours("unix", 1, "--checksum"), "off": ours("unix"), "raw": raw("unix")},
          [Row("CRC32C on, vs off", ">= 0.85", RATE, "on", "off")], raw="raw"),
    Group("start-up", {"header": start_up("long_header", "long_header", "model.layers.0.mlp.experts.0.w000000________________"),
                       "deepseek": start_up("deepseek", "deepseek", "model.norm.weight"),
                       "lora": start_up("lora", "000/adapter-00", "lora_A.weight")},
          [Row("start-up to ready: header of 100,000 tensors", "<= 0.1", SECONDS, "header"),
           Row("start-up to ready: 163 files, 91,991 tensors", "<= 0.5", SECONDS, "deepseek"),
           Row("start-up to ready: 50,000 LoRA files", "<= 1", SECONDS, "lora"),
           Row("memory when ready: 50,000 LoRA files", "<= 128", SERVER_ANON, "lora")], rounds=5),
    Group("pressure", {"ours": under_pressure},
          [Row("memory 1/4 of the model, 8 workers: bytes from disk by file", "<= 1.5", DISK, "ours")], rounds=3, timed=False),
    Group("far", {f"{name} {ms}": measure(ms) for ms in FAR_MS for name, measure in (("ours", ours_from_afar), ("raw", raw_from_afar))},
          [Row(f"one stream, round trip of {ms} ms, vs raw", "report", RATE, f"ours {ms}", f"raw {ms}") for ms in FAR_MS], raw="raw 1"),
    Group("link", {"ours": ours_by_link, "raw": raw_by_link, "workers": workers_by_link(ours_at_link),
                   "raw workers": workers_by_link(raw_at_link)},
          [Row("1 Gbit/s link, vs raw", ">= 0.97", RATE, "ours", "raw"),
           Row("1 Gbit/s link, 16 workers: most by least", "<= 1.2", SPREAD, "workers"),
           Row("1 Gbit/s link, 16 workers: most by least, vs raw", "report", SPREAD, "workers", "raw workers")], raw="raw", rounds=3, timed=False),
]
