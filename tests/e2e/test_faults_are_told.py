"""Of a file that breaks while it is served the metrics, the log and the listing say so: once for each call that it failed, under the
model's and the file's own names, and of no other file (P6)."""
import errno
import json

import grpc
import pytest

import http_port
from fault_rounds import ROUNDS, rounds
from injection import environment
from processes import wait_until
from reading import judge, open_channel, read
from served_work import HTTP, metrics
from wire import list_all_models, pb, rpc
from words import Model, Truth

TENSORS = {"t": (4096, 1024), "small": (64, 8)}  # 32 MiB: most of it has not been looked at when a client has its first message.
COLUMNS = slice(1, 1000, 2)
PREAD = ("--read-mode", "pread")
FEW = -(-ROUNDS // 4)
# kind of fault in metrics and log -> how it comes about
TRUNCATED = {"mapped": ({}, ()), "gathered": ({"columns": COLUMNS}, ()), "checksum": ({"checksum": True}, ()),
             "pread": ({}, PREAD), "pread gathered": ({"columns": COLUMNS}, PREAD)}
KINDS = ("truncated", "io_error", "changed")


def faults(server):
    text = metrics(server)
    return {kind: http_port.value(text, f'tensord_file_faults_total{{kind="{kind}"}}') for kind in KINDS}


def only(kind, count):
    return {each: count if each == kind else 0 for each in KINDS}


def sigbus(server):
    return http_port.value(metrics(server), "tensord_sigbus_total")


def broken_lines(server):
    """What the log says of files that broke."""
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    return [line for line in lines if line["msg"] == "file broke while it was served"]


def expect_line(server, directory, model, kind):
    """The log names the file as clients know it, and no path of this machine."""
    def told():
        return [line for line in broken_lines(server) if (line["model"], line["file"], line["kind"]) ==
                (model.name, model.path.name, kind)]

    wait_until(told, f"the log tells of {model.name}")
    assert {(line["level"], bool(line["error"])) for line in told()} == {("error", True)}
    assert str(directory) not in json.dumps(broken_lines(server))


def state_of(stub, model):
    return {each.id: each.state for each in list_all_models(stub)}[model.name]


@pytest.fixture
def store(tmp_path):
    (tmp_path / "store").mkdir()
    return tmp_path / "store"


@pytest.fixture
def start(server, store):
    return lambda *flags, **options: server(store, *HTTP, "--log-format", "json", *flags, **options)


@pytest.mark.parametrize("variant", TRUNCATED)
def test_a_truncated_file_is_counted_told_and_marked(start, store, variant):
    fields, flags = TRUNCATED[variant]
    good = Model(store, "good").replace()
    victims = [Model(store, f"bad{number}", TENSORS).replace() for number in range(FEW)]
    truth, running = Truth([good, *victims]), start(*flags)
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        judge(truth, read(stub, "good"))
        assert (faults(running), sigbus(running)) == (only("truncated", 0), 0)
        for number, (random, victim) in enumerate(zip(rounds(f"a truncation that is told, {variant}", FEW), victims)):
            size = random.choice([0, random.randrange(1 << 20)])  # Less than what the first messages carry.
            outcome = read(stub, victim.name, pace=lambda count: count == 1 and victim.truncate(size), **fields)
            assert (outcome.code, outcome.reason) == (grpc.StatusCode.DATA_LOSS, "FILE_CHANGED"), str(outcome)
            judge(truth, read(stub, "good"))
            assert faults(running) == only("truncated", number + 1)
            wait_until(lambda: state_of(stub, victim) == pb.MODEL_STATE_INVALID, "it is marked")
        expect_line(running, store, victims[0], "truncated")
        wait_until(lambda: http_port.value(metrics(running), 'tensord_files{state="invalid"}') == FEW, "all are counted")
        assert state_of(stub, good) == pb.MODEL_STATE_READY


def test_an_overwritten_file_is_counted_and_told(start, store):
    good = Model(store, "good").replace()
    victims = [Model(store, f"bad{number}", TENSORS).replace() for number in range(FEW)]
    truth, running = Truth([good, *victims]), start()
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for number, (_, victim) in enumerate(zip(rounds("overwriting that is told", FEW), victims)):
            outcome = read(stub, victim.name, pace=lambda count: count == 1 and victim.overwrite())
            assert (outcome.code, outcome.reason) == (grpc.StatusCode.DATA_LOSS, "FILE_CHANGED"), str(outcome)
            judge(truth, read(stub, "good"))
            assert faults(running) == only("changed", number + 1)
        expect_line(running, store, victims[0], "changed")
        assert sigbus(running) == 0


@pytest.mark.parametrize("columns", [None, COLUMNS], ids=["whole", "gathered"])
def test_a_disk_that_fails_is_counted_and_told(start, store, tmp_path, columns):
    """And the file is served again as soon as it can be read."""
    switch = tmp_path / "switch"
    models = [Model(store, "good").replace(), Model(store, "bad", TENSORS).replace()]
    truth = Truth(models)
    running = start(*PREAD, env=environment("pread", "/bad.safetensors", error=errno.EIO, switch=switch))
    with open_channel(running.address) as channel:
        stub = rpc.TensorStoreStub(channel)
        for _ in rounds(f"EIO that is told, {'gathered' if columns else 'whole'}", FEW):
            before = faults(running)["io_error"]
            outcome = read(stub, "bad", columns=columns, pace=lambda count: count == 1 and switch.touch())
            assert (outcome.code, outcome.reason) == (grpc.StatusCode.DATA_LOSS, "READ_ERROR"), str(outcome)
            told = faults(running)
            assert told["io_error"] > before and told["truncated"] == told["changed"] == 0
            judge(truth, read(stub, "good"))
            switch.unlink()
            wait_until(lambda: read(stub, "bad", "small").ok, "a file that can be read again is served again")
        expect_line(running, store, models[1], "io_error")
        judge(truth, read(stub, "bad", columns=columns))
