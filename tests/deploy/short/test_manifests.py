"""Every overlay, and every model volume in one: renders, fits Kubernetes' schemas to the last field, and is as strict as can be."""
import copy
import itertools
import json
import re
import shutil

import kubernetes_validate
import pytest
import yaml

from commands import ROOT, TOOLS, run
from manifests import KUBERNETES, MODEL_VOLUMES, OVERLAYS, containers, pod_template, render, with_models_from, workloads

FIRST_WITH_SIDECARS = "1.29"  # restartPolicy of an init container.
FIRST_WITH_IMAGE_VOLUMES = "1.33"  # In beta, on by default later.
LATEST = kubernetes_validate.latest_version()
COMBINATIONS = [*((overlay, "pvc", None) for overlay in OVERLAYS), ("standalone", "pvc", "tls"),
                *(("sidecar", volume, None) for volume in MODEL_VOLUMES if volume != "pvc")]


@pytest.fixture(scope="module", params=COMBINATIONS, ids=lambda c: "+".join(filter(None, c)))
def combination(request, tmp_path_factory):
    """(overlay, model volume, objects), rendered once."""
    overlay, volume, component = request.param
    return overlay, volume, render(with_models_from(volume, overlay, tmp_path_factory.mktemp("k"), component))


def refusals(level, objects):
    """{workload: reason} of what the Pod Security admission controller would refuse."""
    pods = [{"name": name, "metadata": pod_template(w)["metadata"], "spec": pod_template(w)["spec"]}
            for name, w in workloads(objects).items()]
    result = run(TOOLS / "pod_security", level, input=json.dumps(pods))
    assert result.returncode in (0, 1), result.stderr
    lines = dict(line.split(": ", 1) for line in result.stdout.splitlines())
    assert len(lines) == len(pods)
    return {name: verdict for name, verdict in lines.items() if verdict != "allowed"}


def test_every_field_is_known_to_kubernetes(combination):
    _, volume, objects = combination
    oldest = FIRST_WITH_IMAGE_VOLUMES if volume == "image-volume" else FIRST_WITH_SIDECARS
    for item, version in itertools.product(objects, (oldest, LATEST)):
        kubernetes_validate.validate(item, version, strict=True)


def test_the_example_claim_fits_and_is_the_one_that_pods_mount():
    claim = yaml.safe_load((KUBERNETES / "models-claim.yaml").read_text())
    kubernetes_validate.validate(claim, LATEST, strict=True)
    worker = workloads(render(KUBERNETES / "overlays" / "sidecar"))["Deployment/worker"]
    mounted = [v["persistentVolumeClaim"] for v in pod_template(worker)["spec"]["volumes"] if v["name"] == "models"]
    assert mounted == [{"claimName": claim["metadata"]["name"], "readOnly": True}]


def test_tls_takes_the_place_of_serving_everybody(tmp_path):
    objects = render(with_models_from("pvc", "standalone", tmp_path, "tls"))
    for name in ("tensord", "worker"):
        deployment = workloads(objects)[f"Deployment/{name}"]
        container = containers(deployment)[name]
        settings = {e["name"]: e["value"] for e in container["env"]}
        assert "TENSORD_INSECURE_ALLOW_REMOTE" not in settings
        [mount] = [m for m in container["volumeMounts"] if m["name"] == "tls"]
        assert mount["readOnly"] is True and "subPath" not in mount
        paths = {value for variable, value in settings.items() if variable.startswith("TENSORD_TLS_")}
        assert paths == {f"{mount['mountPath']}/{file}" for file in ("tls.crt", "tls.key", "ca.crt")}
        [volume] = [v for v in pod_template(deployment)["spec"]["volumes"] if v["name"] == "tls"]
        assert volume["secret"]["defaultMode"] == 0o440


def test_a_misspelt_field_would_be_found():
    objects = render(KUBERNETES / "overlays" / "sidecar")
    worker = copy.deepcopy(workloads(objects)["Deployment/worker"])
    context = containers(worker)["tensord"]["securityContext"]
    context["readOnlyRootFilesystm"] = context.pop("readOnlyRootFilesystem")
    with pytest.raises(kubernetes_validate.ValidationError, match="readOnlyRootFilesystm"):
        kubernetes_validate.validate(worker, LATEST, strict=True)


def test_pods_meet_the_restricted_standard(combination):
    overlay, _, objects = combination
    refused = refusals("restricted", objects)
    if overlay != "node-cache":
        assert refused == {}
        return
    # A socket in a directory of the node is a hostPath, and somebody must give the directory to tensord.
    assert set(refused) == {"DaemonSet/tensord", "Deployment/worker"}
    assert refused["Deployment/worker"].startswith("restricted volume types: ")
    assert all('volume "socket" uses restricted volume type "hostPath"' in reason for reason in refused.values()), refused
    assert '"own-directory"' in refused["DaemonSet/tensord"] and 'container "tensord"' not in refused["DaemonSet/tensord"]


def test_a_pod_that_is_less_strict_would_be_found():
    objects = render(KUBERNETES / "overlays" / "sidecar")
    del containers(workloads(objects)["Deployment/worker"])["tensord"]["securityContext"]["capabilities"]
    assert "unrestricted capabilities" in refusals("restricted", objects)["Deployment/worker"]


def test_root_file_systems_and_models_are_read_only(combination):
    _, _, objects = combination
    for workload in workloads(objects).values():
        assert pod_template(workload)["spec"]["enableServiceLinks"] is False
        for name, container in containers(workload).items():
            assert container["securityContext"]["readOnlyRootFilesystem"] is True, name
            assert container["resources"]["limits"]["memory"], name
            mounts = {m["name"]: m for m in container.get("volumeMounts", [])}
            assert mounts.get("models", {"readOnly": True})["readOnly"] is True, name


def test_the_sidecar_starts_before_the_worker_and_ends_after_it():
    objects = render(KUBERNETES / "overlays" / "sidecar")
    spec = pod_template(workloads(objects)["Deployment/worker"])["spec"]
    [tensord] = spec["initContainers"]
    assert tensord["restartPolicy"] == "Always"
    assert {p: tensord[p]["httpGet"]["path"] for p in ("startupProbe", "livenessProbe", "readinessProbe")} == {
        "startupProbe": "/startupz", "livenessProbe": "/livez", "readinessProbe": "/readyz"}
    assert spec["terminationGracePeriodSeconds"] > 25  # What streams get to end.
    shared = [c["name"] for c in (tensord, *spec["containers"]) if any(m["name"] == "socket" for m in c["volumeMounts"])]
    assert shared == ["tensord", "worker"]


def test_an_object_store_is_read_with_pread(combination):
    _, volume, objects = combination
    [settings] = [o for o in objects if o["kind"] == "ConfigMap"]
    assert settings["data"].get("TENSORD_READ_MODE") == ("pread" if volume == "object-store" else None)


def test_readme_says_how_to_name_the_images(tmp_path):
    [text] = re.findall(r"^```yaml\n(resources: .*?)```$", (ROOT / "README.md").read_text(), re.M | re.S)
    shutil.copytree(KUBERNETES, tmp_path / "deploy" / "kubernetes")
    (tmp_path / "kustomization.yaml").write_text(text.replace("REGISTRY", "registry.example"))
    worker = workloads(render(tmp_path))["Deployment/worker"]
    assert {name: container["image"] for name, container in containers(worker).items()} == {
        "tensord": "registry.example/tensord", "worker": "registry.example/tensord-worker"}


def test_the_service_is_headless_and_finds_the_pods():
    objects = render(KUBERNETES / "overlays" / "standalone")
    by_kind = {o["kind"]: o for o in objects}
    assert by_kind["Service"]["spec"]["clusterIP"] == "None"
    labels = pod_template(workloads(objects)["Deployment/tensord"])["metadata"]["labels"]
    for selector in (by_kind["Service"]["spec"]["selector"], by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
                     by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]):
        assert selector.items() <= labels.items()
