"""The unit for bare hosts, as far as it can be judged without a systemd that runs it."""
import json

from commands import DEPLOY, run

UNIT = DEPLOY / "systemd" / "tensord.service"
MOST_EXPOSURE = 1.5  # Of 10, which is no hardening at all.


def test_exposure_is_low():
    result = run("systemd-analyze", "security", "--offline=true", "--json=short", f"--threshold={int(MOST_EXPOSURE * 10)}", UNIT)
    assert result.returncode == 0, result.stdout + result.stderr
    assert json.loads(result.stdout)


def test_systemd_knows_every_line(tmp_path):
    # With a program that exists here, so that nothing but the unit is judged.
    unit = tmp_path / "tensord.service"
    unit.write_text(UNIT.read_text().replace("/usr/local/bin/tensord", "/bin/true"))
    result = run("systemd-analyze", "verify", unit)
    assert (result.returncode, result.stderr) == (0, "")
