"""An honest client beside the attack: how long its calls take, and how many fail."""
import subprocess
import sys
import threading
import time


class HonestClient:
    """Calls Health/Check all the time, from a process of its own. `answers()`: what it measured since the last time."""

    def __init__(self, address, prefix=()):
        self._process = subprocess.Popen([*prefix, sys.executable, __file__, address], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, text=True)
        assert self._process.stdout.readline() == "ready\n"

    def answers(self):
        """(milliseconds of each call that was answered, number of calls that failed)."""
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        words = self._process.stdout.readline().split()
        return sorted(float(word) for word in words[1:]), int(words[0])

    def close(self):
        self._process.stdin.close()
        self._process.wait()


def percentile(values, share):
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("inf")


def serve_requests(address):
    """The other process of HonestClient."""
    import grpc  # Not above: whoever attacks has no use for it.
    pause_seconds = 0.002
    with grpc.insecure_channel(address.replace("unix:/", "unix:///", 1)) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=None, response_deserializer=None)
        check(b"", wait_for_ready=True, timeout=60)
        print("ready", flush=True)
        lock, times, failed, ended = threading.Lock(), [], [0], threading.Event()

        def call():
            while not ended.wait(pause_seconds):
                started = time.monotonic()
                try:
                    check(b"", timeout=10)
                except grpc.RpcError:
                    with lock:
                        failed[0] += 1
                    continue
                with lock:
                    times.append(1000 * (time.monotonic() - started))

        thread = threading.Thread(target=call, daemon=True)
        thread.start()
        for _ in sys.stdin:
            with lock:
                line = " ".join([str(failed[0]), *(f"{each:.3f}" for each in times)])
                times.clear()
                failed[0] = 0
            print(line, flush=True)
        ended.set()
        thread.join()


if __name__ == "__main__":
    serve_requests(sys.argv[1])
