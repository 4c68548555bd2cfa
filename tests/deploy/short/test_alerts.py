"""The alerts, as Prometheus itself reads them."""
from commands import DEPLOY, TOOLS, run

RULES = DEPLOY / "prometheus" / "rules.yaml"


def test_prometheus_reads_the_rules():
    result = run(TOOLS / "promtool", "check", "rules", "--lint-fatal", RULES)
    assert result.returncode == 0, result.stdout + result.stderr
