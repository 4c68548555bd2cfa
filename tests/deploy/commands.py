"""What the tests of deploy/ share: where things are, and running commands."""
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / "build" / "deploy-tools" / "bin"

def run(*command, **options):
    """Runs a command and returns what subprocess.run does, with text."""
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    if "input" in options:
        options.pop("stdin")
    return subprocess.run([str(c) for c in command], text=True, timeout=300, check=False, **options)
