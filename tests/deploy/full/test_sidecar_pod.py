"""The sidecar overlay as podman plays it: what deploy/kubernetes/smoke.sh does on a cluster, without one.

podman 4.3 knows no init container that goes on, no probes over HTTP, no ports without a network and no ConfigMap by reference, so the pod is played with tensord
among the usual containers and its settings written out; all else is as kustomize renders it.
"""
import hashlib
import os
import signal
import struct
import subprocess
import sys
import threading

import pytest
import yaml

from commands import DEPLOY
from containers import DIR, IMAGE, WORKER_IMAGE, must, podman, wait_for
from manifests import KUBERNETES, pod_template, render, workloads

POD = "tensord-sidecar-test"
SLICE = "tensorctl get tiny-gpt2 'wte.weight[2:4]' -o - | sha256sum"
EXPECTED = hashlib.sha256(struct.pack("<128f", *range(128, 256))).hexdigest() + "  -\n"


def playable(store):
    """The pod of the sidecar overlay, in podman 4.3's words."""
    objects = render(KUBERNETES / "overlays" / "sidecar")
    settings = next(o["data"] for o in objects if o["kind"] == "ConfigMap")
    spec = pod_template(workloads(objects)["Deployment/worker"])["spec"]
    [tensord] = spec.pop("initContainers")
    for name in ("restartPolicy", "envFrom", "ports", "startupProbe", "livenessProbe", "readinessProbe"):
        del tensord[name]
    tensord["env"] += [{"name": name, "value": value} for name, value in settings.items()]
    tensord["image"], spec["containers"][0]["image"] = IMAGE, WORKER_IMAGE
    spec["containers"].insert(0, tensord)
    for container in spec["containers"]:
        container["imagePullPolicy"] = "Never"
    for volume in spec["volumes"]:
        if volume["name"] == "models":
            volume.pop("persistentVolumeClaim")
            volume["hostPath"] = {"path": str(store), "type": "Directory"}
    del spec["serviceAccountName"]
    spec["restartPolicy"] = "Always"
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": POD}, "spec": spec}


@pytest.fixture(scope="module")
def pod(tmp_path_factory):
    """The name of the played pod, whose worker can already read."""
    directory = tmp_path_factory.mktemp("pod")
    subprocess.run([sys.executable, DEPLOY / "make_sample_store.py", directory / "store"], check=True)
    manifest = directory / "pod.yaml"
    manifest.write_text(yaml.safe_dump(playable(directory / "store")))
    settings = directory / "containers.conf"
    settings.write_text('[containers]\ndefault_ulimits = ["nofile=20000:20000", "nproc=4096:4096"]\n')
    environment = {**os.environ, "CONTAINERS_CONF": str(settings)}
    must(podman("kube", "play", "--network", "none", manifest, env=environment))
    try:
        # podman does not know fsGroup, by which the kubelet gives the emptyDir to tensord. Its first start may have failed by then.
        os.chown(DIR / "store" / "volumes" / "socket" / "_data", 65532, 65532)
        wait_for("answer", lambda: in_worker(SLICE).stdout == EXPECTED)
        yield POD
    finally:
        podman("kube", "down", manifest)
        podman("volume", "rm", "-f", "socket")  # podman makes a volume of the emptyDir, and keeps it.


def in_worker(script):
    return podman("exec", f"{POD}-worker", "bash", "-o", "pipefail", "-euc", f"export TENSORD_ADDRESS=unix:///run/tensord/tensord.sock; {script}")


def server_pid():
    return int(must(podman("inspect", "--format", "{{.State.Pid}}", f"{POD}-tensord")))


def test_the_worker_reads_a_slice_over_the_shared_socket(pod):
    assert must(in_worker(SLICE)) == EXPECTED


def test_the_example_worker_reads_every_model(pod):
    wait_for("a round of the example", lambda: podman("logs", f"{pod}-worker").stdout.count("model") >= 2)


def test_readers_go_on_after_kill_9(pod):
    answers = []
    before = server_pid()
    reader = threading.Thread(target=lambda: answers.append(in_worker(
        f"for _ in {{1..100}}; do until answer=$({SLICE} 2>/dev/null); do sleep 0.2; done; echo \"$answer\"; done | sort | uniq -c")))
    reader.start()
    os.kill(before, signal.SIGKILL)
    wait_for("restart", lambda: server_pid() not in (0, before))
    reader.join()
    assert must(answers[0]).split(None, 1) == ["100", EXPECTED]


def test_sigterm_drains_with_exit_code_0(pod):
    must(podman("stop", "-t", "60", f"{pod}-tensord"))
    assert must(podman("inspect", "--format", "{{.State.ExitCode}}", f"{pod}-tensord")).strip() == "0"
    must(podman("start", f"{pod}-tensord"))
    wait_for("answer", lambda: in_worker(SLICE).stdout == EXPECTED)
