"""The end-to-end tests' fixtures, for the attacks: real servers, on TCP and on a Unix socket."""
import importlib.util
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

_PATH = Path(__file__).resolve().parents[1] / "e2e" / "conftest.py"
_SPEC = importlib.util.spec_from_file_location("e2e_conftest", _PATH)
_MODULE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)

Server, BIN, ROOT = _MODULE.Server, _MODULE.BIN, _MODULE.ROOT
bin_dir, server, module_server, ctl = _MODULE.bin_dir, _MODULE.server, _MODULE.module_server, _MODULE.ctl
