"""What a careful client does when a stream breaks: asks again for what is missing, pinned to the version. Written anew from
the proto's rules, as a yardstick of the C++ client's own."""
import time

import grpc

from reading import Outcome, read

MOST_RESUMES = 200
BREAKS = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN,
          grpc.StatusCode.DEADLINE_EXCEEDED)  # gRPC's own ways of saying that a connection ended.


def read_resuming(stub_of, model, tensor="t", columns=None, pace=None, **fields):
    """`stub_of()` is called for each attempt. The outcome of the last attempt, with the bytes of all, and `resumes`: how many
    attempts went on behind byte 0."""
    whole = Outcome()
    whole.tensor, whole.columns, whole.resumes = tensor, columns, 0
    for _ in range(MOST_RESUMES):
        version = whole.info.version if whole.info else ""
        part = read(stub_of(), model, tensor, columns, len(whole.data), pace, version=version, **fields)
        if part.info:
            assert not version or part.info.version == version, "a pinned stream has another version"
            whole.info = whole.info or part.info
        whole.resumes += bool(whole.data)
        whole.data += part.data
        whole.code, whole.reason, whole.message = part.code, part.reason, part.message
        if part.code not in BREAKS:
            return whole
        time.sleep(0.02)
    raise AssertionError(f"no end after {MOST_RESUMES} attempts: {whole}")
