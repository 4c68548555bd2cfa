#!/usr/bin/env bash
# Lays out the image's root file system: the executable under its two names, the shared libraries that it loads, and users;
# and what is in it, as a CycloneDX bill of materials.
# usage: deploy/image/make_root.sh BUILD_DIR VERSION ROOT
set -euo pipefail
build=$1 version=$2 root=$3
executable=$build/bin/tensord_image

install -d -m 0755 "$root/usr/local/bin" "$root/etc" "$root/models" "$root/run" "$root/usr/share/sbom"
install -d -m 1777 "$root/tmp"
install -d -m 0750 -o 65532 -g 65532 "$root/run/tensord"
install -m 0755 "$executable" "$root/usr/local/bin/tensord"
strip "$root/usr/local/bin/tensord"
ln -s tensord "$root/usr/local/bin/tensorctl"

# "name => /path (address)", and the loader as "/path (address)".
libraries=$(ldd "$executable" | sed -nE 's/^(.* => |[[:space:]]*)(\/[^ ]+) \(0x.*/\2/p' | sort -u)
[ -n "$libraries" ] || { echo "error: ldd names no library of $executable" >&2; exit 1; }
for library in $libraries; do
  # As on Debian, /lib and /lib64 are links to their namesakes below /usr.
  install -D -m 0755 "$(readlink -f "$library")" "$root/usr${library#/usr}"
done
for name in lib lib64; do
  ln -s "usr/$name" "$root/$name"
done

printf 'root:x:0:0::/:/nonexistent\ntensord:x:65532:65532::/:/nonexistent\n' >"$root/etc/passwd"
printf 'root:x:0:\ntensord:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"

# shellcheck disable=SC2086 - One word each.
python3 "$(dirname "$0")/make_sbom.py" "$build" tensord_image "$version" $libraries >"$root/usr/share/sbom/tensord.cdx.json"
