#!/usr/bin/env python3
"""Prints a CycloneDX bill of materials of the image: every Debian package of which a file is in it, be it as a shared library,
as an archive that was linked in, or as a header that was compiled in.

usage: make_sbom.py BUILD_DIR EXECUTABLE_TARGET VERSION LIBRARY...
The same build gives the same bytes: no time and no serial number.
"""
import json
import pathlib
import re
import subprocess
import sys

TOOLCHAIN = re.compile(r"^(linux-libc-dev|libc6-dev|libcrypt-dev|gcc-\d+|g\+\+-\d+|libgcc-\d+-dev)$")  # Declarations only.
LINKED_WITH = {"libstdc++": re.compile(r"^libstdc\+\+-\d+-dev$")}  # Templates of the standard library: named as what we ship.


def output_of(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def packages_of(paths):
    """{package: one of its files} for files that belong to Debian packages."""
    wanted = {str(pathlib.Path(path).resolve()) for path in paths}
    # dpkg knows /lib by its old name on systems that were merged into /usr.
    names = {name: path for path in wanted for name in (path, path.removeprefix("/usr"))}
    found, owned = {}, set()
    for owner in sorted(pathlib.Path("/var/lib/dpkg/info").glob("*.list")):
        for name in names.keys() & set(owner.read_text().splitlines()):
            found.setdefault(owner.stem.split(":")[0], names[name])
            owned.add(names[name])
    if owned != wanted:
        raise SystemExit(f"error: no package has {sorted(wanted - owned)}")
    return found


def objects_of(build, target):
    """What the linker reads for `target`: our objects through our archives, and Debian's archives."""
    link = output_of("ninja", "-C", build, "-t", "commands", target).splitlines()
    archives = set(re.findall(r"(?<=\s)(/usr/\S+\.a)(?=\s|$)", link[-1]))
    sources = set(re.findall(r"-o (\S+\.o) -c ", "\n".join(link)))
    return archives, sources


def headers_of(build, objects):
    """System headers that `objects` were compiled with."""
    headers, wanted = set(), False
    for line in output_of("ninja", "-C", build, "-t", "deps").splitlines():
        if line and not line.startswith(" "):
            wanted = line.split(":")[0] in objects
        elif wanted and line.strip().startswith("/usr/"):
            headers.add(line.strip())
    return headers


def licences_of(package):
    copyright_file = pathlib.Path(f"/usr/share/doc/{package}/copyright")
    text = copyright_file.read_text(errors="replace") if copyright_file.exists() else ""
    return sorted(set(re.findall(r"^License: *(\S[^\n]*)$", text, re.MULTILINE)))


def component(package, kind):
    name, version, source, source_version = output_of(
        "dpkg-query", "-W", "-f", "${Package}\n${Version}\n${source:Package}\n${source:Version}", package).split("\n")
    purl = f"pkg:deb/debian/{name}@{version}?distro=bookworm"
    made = {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl,
            "properties": [{"name": "tensord:linkage", "value": kind},
                           {"name": "debian:source", "value": f"{source} {source_version}"}]}
    licences = licences_of(name)
    if licences:
        made["licenses"] = [{"license": {"name": licence}} for licence in licences]
    return made


def main(build, target, version, *libraries):
    archives, objects = objects_of(build, target)
    kinds = {}
    for kind, paths in (("header", headers_of(build, objects)), ("static", archives), ("shared", libraries)):
        for package in packages_of(paths):
            kinds[package] = kind  # The strongest comes last.
    kept = {p: k for p, k in kinds.items() if not TOOLCHAIN.match(p) and not LINKED_WITH["libstdc++"].match(p)}
    ours = {"type": "application", "bom-ref": f"pkg:generic/tensord@{version}", "name": "tensord", "version": version,
            "purl": f"pkg:generic/tensord@{version}", "licenses": [{"license": {"id": "Apache-2.0"}}]}
    components = [component(package, kind) for package, kind in sorted(kept.items())]
    bom = {"bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1, "metadata": {"component": ours},
           "components": components,
           "dependencies": [{"ref": ours["bom-ref"], "dependsOn": [c["bom-ref"] for c in components]}]}
    print(json.dumps(bom, indent=1))


if __name__ == "__main__":
    if len(sys.argv) < 5:
        raise SystemExit(__doc__)
    main(*sys.argv[1:])
