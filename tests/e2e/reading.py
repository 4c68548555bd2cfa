"""Reads tensors as an ordinary client does, at a pace that the test decides, and says how the stream ended."""
import threading

import grpc

from wire import pb

CALL_SECONDS = 60  # Far above what any call here takes, so that only a hung one meets it.
# A connection of its own, whose windows stay small: what is not read waits in the server.
CHANNEL_OPTIONS = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 64 << 10),
                   ("grpc.max_receive_message_length", 64 << 20), ("grpc.use_local_subchannel_pool", 1)]
REASONS = [name for name in pb.ErrorReason.keys() if name != "ERROR_REASON_UNSPECIFIED"]


def open_channel(address):
    return grpc.insecure_channel(address, CHANNEL_OPTIONS)


class Outcome:
    """How a stream ended and what it carried: of one result."""

    def __init__(self):
        self.info, self.data, self.begin = None, bytearray(), 0
        self.code, self.reason, self.message = None, "", ""
        self.tensor, self.columns = "", None

    @property
    def ok(self):
        return self.code == grpc.StatusCode.OK

    def __str__(self):
        return f"{self.code} {self.reason} {self.message!r} after {len(self.data)} bytes"


def reason_of(error):
    """Out of the error's details; of a stream that was cancelled from the server's side, which carries none, out of its
    message."""
    details = next((value for key, value in error.trailing_metadata() or () if key == "grpc-status-details-bin"), b"")
    text = details or (error.details() or "").encode()
    found = [reason for reason in REASONS if reason.encode() in text]
    return max(found, key=len, default="")


def start(stub, model, tensor="t", columns=None, begin=0, version="", **fields):
    """The call that reads a tensor (or `columns`, a slice, of it) from byte `begin` on."""
    ranged = pb.ByteRange(offset=begin)
    if columns is None:
        request = pb.GetTensorRequest(model=model, tensor=tensor, range=ranged, version=version, **fields)
        return stub.GetTensor(request, timeout=CALL_SECONDS)
    text = f"[:, {columns.start}:{columns.stop}:{columns.step or 1}]"
    request = pb.GetSliceRequest(model=model, tensor=tensor, slice=text, range=ranged, version=version, **fields)
    return stub.GetSlice(request, timeout=CALL_SECONDS)


def read(stub, model, tensor="t", columns=None, begin=0, pace=None, **fields):
    """Reads to the end. `pace(number of messages so far)` is called before each message but the first."""
    outcome = Outcome()
    outcome.tensor, outcome.columns, outcome.begin = tensor, columns, begin
    call = start(stub, model, tensor, columns, begin, **fields)
    try:
        for number, chunk in enumerate(call):
            if chunk.HasField("info"):
                outcome.info = chunk.info
            for part in chunk.parts:
                if part.data:
                    assert part.offset_bytes == outcome.begin + len(outcome.data), "offsets ascend without gap"
                    outcome.data += part.data
            if pace:
                pace(number + 1)
        outcome.code = grpc.StatusCode.OK
    except grpc.RpcError as error:
        outcome.code, outcome.reason, outcome.message = error.code(), reason_of(error), error.details()
    return outcome


def judge(truth, outcome, is_whole=True):
    """Raises WrongBytes unless the bytes are right. Of a stream that broke, pass is_whole=False."""
    return truth.judge(outcome.info, outcome.tensor, outcome.data, outcome.begin, outcome.columns, is_whole)


class Background:
    """A function on a thread of its own, whose result or exception `join` hands on."""

    def __init__(self, function, *arguments, **options):
        self._result = self._error = None

        def run():
            try:
                self._result = function(*arguments, **options)
            except BaseException as error:  # noqa: B902 - handed on to whoever joins.
                self._error = error

        self._thread = threading.Thread(target=run, daemon=True)
        self._thread.start()

    def join(self, seconds=CALL_SECONDS + 30):
        self._thread.join(seconds)
        assert not self._thread.is_alive(), "hangs"
        if self._error:
            raise self._error
        return self._result
