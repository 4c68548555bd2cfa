"""deploy/kubernetes as kustomize renders it, and the pods in it."""
import shutil

import yaml

from commands import DEPLOY, TOOLS, run

KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("sidecar", "standalone", "node-cache")
MODEL_VOLUMES = ("pvc", "image-volume", "object-store")


def render(directory):
    """The objects that kustomize makes of `directory`."""
    result = run(TOOLS / "kustomize", "build", directory)
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr, result.stderr
    return list(yaml.safe_load_all(result.stdout))


def with_models_from(volume, overlay, directory, component=None):
    """A copy of deploy/kubernetes in `directory` whose `overlay` has another model volume, and one more component if asked for;
    returns the overlay's folder."""
    copy = directory / "kubernetes"
    shutil.copytree(KUBERNETES, copy)
    path = copy / "overlays" / overlay / "kustomization.yaml"
    text = path.read_text()
    assert "components/pvc" in text
    text = text.replace("components/pvc", f"components/{volume}")
    path.write_text(text + (f"  - ../../components/{component}\n" if component else ""))
    return path.parent


def workloads(objects):
    return {f"{o['kind']}/{o['metadata']['name']}": o for o in objects if o["kind"] in ("Deployment", "DaemonSet", "Job", "Pod")}


def pod_template(workload):
    return workload if workload["kind"] == "Pod" else workload["spec"]["template"]


def containers(workload):
    spec = pod_template(workload)["spec"]
    return {c["name"]: c for c in [*spec.get("initContainers", []), *spec["containers"]]}
