"""What deploy/ names exists in the program: variables in manifests, unit and image; metrics in alerts and dashboard."""
import json
import re

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from commands import DEPLOY, ROOT, TOOLS, run
from daemon import BIN, Daemon, make_sample_store
from manifests import KUBERNETES, MODEL_VOLUMES, OVERLAYS, containers, render, with_models_from, workloads

# Of tensorctl, which the image holds too.
OF_TENSORCTL = {"TENSORD_ADDRESS", "TENSORD_TLS_CA"}
RULES = DEPLOY / "prometheus" / "rules.yaml"
DASHBOARD = DEPLOY / "grafana" / "dashboard.json"


@pytest.fixture(scope="module")
def flags():
    """{variable: what --help says of its flag}"""
    found = re.findall(r"^  (?:-h,)?--([a-z-]+)(.*)$", run(BIN / "tensord", "--help").stdout, re.M)
    assert len(found) > 30
    return {"TENSORD_" + name.upper().replace("-", "_"): rest for name, rest in found}


@pytest.fixture(scope="module")
def metrics(tmp_path_factory):
    """The page of a server that has a certificate, so that it exports all that there is."""
    directory = tmp_path_factory.mktemp("metrics")
    certificate, key = directory / "tls.crt", directory / "tls.key"
    made = run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-keyout", key, "-out", certificate)
    assert made.returncode == 0, made.stderr
    server = Daemon(make_sample_store(directory / "store"), "--tls-cert", certificate, "--tls-key", key)
    try:
        return server.get("/metrics")[1]
    finally:
        assert server.stop() == 0


def check_variables(values, flags):
    for name, value in values.items():
        assert name in flags or name in OF_TENSORCTL, f"{name} is no flag's variable"
    flat = {name: str(value) for name, value in values.items() if name not in OF_TENSORCTL}
    result = run(BIN / "tensord", "--store", "/", "--print-config",
                 env={k: v for k, v in flat.items() if k != "TENSORD_STORE"})
    assert result.returncode == 0, result.stderr
    for name in flat.keys() - {"TENSORD_STORE"}:
        assert f"# from {name}\n" in result.stdout, name


@pytest.mark.parametrize("overlay,volume,component", [*((o, "pvc", None) for o in OVERLAYS), ("standalone", "pvc", "tls"),
                                                      *(("sidecar", v, None) for v in MODEL_VOLUMES)])
def test_every_variable_of_a_manifest_is_a_flag_with_a_good_value(flags, tmp_path, overlay, volume, component):
    objects = render(with_models_from(volume, overlay, tmp_path, component))
    for item in objects:
        if item["kind"] == "ConfigMap":
            check_variables(item["data"], flags)
    for workload in workloads(objects).values():
        for container in containers(workload).values():
            check_variables({e["name"]: e["value"] for e in container.get("env", [])}, flags)


def test_every_variable_of_the_unit_and_the_image_is_a_flag(flags):
    unit = (DEPLOY / "systemd" / "tensord.service").read_text()
    [environment] = re.findall(r"^Environment=(.*)$", unit, re.M)
    check_variables(dict(pair.split("=", 1) for pair in environment.split()), flags)
    image = (ROOT / "Dockerfile").read_text()
    check_variables(dict(re.findall(r"^(?:ENV| +) ?(TENSORD_[A-Z_]+)=(\S+)", image, re.M)), flags)


def names_in(expression):
    return set(re.findall(r"\b(?:tensord|process)_[a-z_]+", expression))


def exported(metrics):
    """Every name under which a sample is stored."""
    return {sample.name for family in text_string_to_metric_families(metrics) for sample in family.samples} | {
        f"{family.name}_total" for family in text_string_to_metric_families(metrics) if family.type == "counter"}


def test_every_metric_of_the_alerts_is_exported(metrics):
    expressions = [rule["expr"] for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
    wanted = set().union(*map(names_in, expressions))
    assert len(wanted) > 8 and wanted <= exported(metrics)


def test_every_metric_of_the_dashboard_is_exported(metrics):
    panels = json.loads(DASHBOARD.read_text())["panels"]
    expressions = [target["expr"] for panel in panels for target in panel.get("targets", [])]
    assert len(expressions) > 8
    wanted = set().union(*map(names_in, expressions))
    assert wanted <= exported(metrics)


def test_prometheus_reads_every_expression_of_the_dashboard(tmp_path):
    text = DASHBOARD.read_text().replace("$__rate_interval", "5m").replace("$job", ".*").replace("$instance", ".*")
    rules = [{"record": f"panel_{panel['id']}_{target['refId']}", "expr": target["expr"]}
             for panel in json.loads(text)["panels"] for target in panel["targets"]]
    path = tmp_path / "panels.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    result = run(TOOLS / "promtool", "check", "rules", path)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_finds_nothing_to_lint_in_the_metrics(metrics):
    result = run(TOOLS / "promtool", "check", "metrics", input=metrics)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
