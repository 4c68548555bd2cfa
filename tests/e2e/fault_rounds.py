"""Seeds and counts of the fault tests.

Every round draws from a generator of its own, seeded by TENSORD_SEED (else by chance), the kind and the round's number; the
seed is printed at the end of a run, and replays it: TENSORD_SEED=N tests/run.sh e2e, or pytest tests/e2e/test_X.py -k Y.
"""
import collections
import os
import random

ROUNDS = int(os.environ.get("TENSORD_FAULT_ROUNDS", "20"))
SEED = int(os.environ.get("TENSORD_SEED") or random.SystemRandom().randrange(1, 1 << 32))
os.environ["TENSORD_SEED"] = str(SEED)  # For the processes that pytest -n shares the tests among.

counts = collections.Counter()


def rounds(kind, number=ROUNDS):
    """Yields a random.Random for each round of a kind of fault, and counts those that ended."""
    for i in range(number):
        yield random.Random(f"{SEED}/{kind}/{i}")
        counts[kind] += 1


def summary():
    """Lines for the end of a run, also of one whose first round failed."""
    yield f"fault rounds, TENSORD_SEED={SEED}: {sum(counts.values())}"
    yield from (f"  {number:6}  {kind}" for kind, number in sorted(counts.items()))
