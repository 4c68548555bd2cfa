"""Starts servers whose calls to the kernel fail or wait, by tests/testing/fault_injection.c."""
import errno
import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARY = Path(os.environ.get("TENSORD_TESTS", ROOT / "build" / "release" / "tests")) / "fault_injection.so"


def environment(call, name="", nth=0, error=errno.EIO, milliseconds=0, fired=None, switch=None):
    """The variables of one fault; their meaning stands in fault_injection.c."""
    assert LIBRARY.is_file(), f"{LIBRARY} is missing: build it"
    wanted = {"LD_PRELOAD": LIBRARY, "TENSORD_FAULT_CALL": call, "TENSORD_FAULT_NAME": name, "TENSORD_FAULT_NTH": nth,
              "TENSORD_FAULT_ERRNO": error, "TENSORD_FAULT_MS": milliseconds,
              "TENSORD_SANDBOX": "off"}  # It would keep the library from saying that it struck.
    wanted |= {"TENSORD_FAULT_FIRED": fired} if fired else {}
    wanted |= {"TENSORD_FAULT_WHILE": switch} if switch else {}
    return {**os.environ, **{key: str(value) for key, value in wanted.items()}}
