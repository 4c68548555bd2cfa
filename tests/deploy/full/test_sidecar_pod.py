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


class Readers:
    """Two loops in the worker that read the slice until `__exit__`, again where it fails; `answers` are all that they got. Their files
    are in the volume of the socket, because there is no other place that the worker may write to."""

    def __enter__(self):
        must(in_worker("rm -f /run/tensord/stop /run/tensord/answers.*"))
        self._threads = [threading.Thread(target=in_worker, args=(
            f"until [ -e /run/tensord/stop ]; do {SLICE} 2>/dev/null >>/run/tensord/answers.{i} || sleep 0.1; done",)) for i in range(2)]
        for thread in self._threads:
            thread.start()
        wait_for("answers", lambda: len(self.answers()) > 4)
        return self

    def answers(self):
        return in_worker("cat /run/tensord/answers.*").stdout.splitlines(keepends=True)

    def __exit__(self, *_):
        in_worker("touch /run/tensord/stop")
        for thread in self._threads:
            thread.join()


def is_right(answers):
    # Of a read that failed there may be the sum of nothing.
    return set(answers) <= {EXPECTED, hashlib.sha256(b"").hexdigest() + "  -\n"} and EXPECTED in answers


def test_readers_go_on_after_kill_9(pod):
    before = server_pid()
    with Readers() as readers:
        os.kill(before, signal.SIGKILL)
        wait_for("restart", lambda: server_pid() not in (0, before))
        seen = len(readers.answers())
        wait_for("answers of the new one", lambda: readers.answers()[seen:].count(EXPECTED) > 4)
    assert is_right(readers.answers())


def test_sigterm_under_load_drains_with_exit_code_0(pod):
    with Readers() as readers:
        must(podman("stop", "-t", "60", f"{pod}-tensord"))
        assert must(podman("inspect", "--format", "{{.State.ExitCode}}", f"{pod}-tensord")).strip() == "0"
        log = podman("logs", f"{pod}-tensord").stderr
        print("\n".join(line for line in log.splitlines() if '"msg":"stop' in line))
        assert '"msg":"stopped"' in log
        must(podman("start", f"{pod}-tensord"))
        seen = len(readers.answers())
        wait_for("answers of the new one", lambda: readers.answers()[seen:].count(EXPECTED) > 4)
    assert is_right(readers.answers())
