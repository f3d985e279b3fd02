#!/usr/bin/env bash
# The demo under Podman with the project's own images must give, to the byte, the results of a run without containers.
# As root, with Debian's podman, runc and debootstrap. The images' base comes from a registry where one answers, else
# from debootstrap under the name that the Dockerfiles say; Podman's storage is its own, inside $places.
. "$(dirname "$0")/common.sh"
need podman podman runc runc debootstrap debootstrap
here=$places/podman
base=$(sed -n 's/^FROM \(.*\) AS env$/\1/p' "$root/containers/core/Dockerfile")
mkdir -p "$here"

# what a plain virtual machine or a container lends: no networks of its own, few open files
cat >"$here/storage.conf" <<END
[storage]
driver = "overlay"
graphroot = "$here/storage"
runroot = "$here/run"
END
cat >"$here/containers.conf" <<END
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
END
export CONTAINERS_STORAGE_CONF=$here/storage.conf CONTAINERS_CONF=$here/containers.conf

make_base() {
    debootstrap --variant=minbase --include=python3,python3-pip,python3-venv,ca-certificates bookworm "$here/base"
    ln -s python3 "$here/base/usr/bin/python"
    # a machine behind a proxy trusts more certificates than Debian ships
    cp /etc/ssl/certs/ca-certificates.crt "$here/base/etc/ssl/certs/"
    printf '[global]\ncert = /etc/ssl/certs/ca-certificates.crt\n' >"$here/base/etc/pip.conf"
    tar -C "$here/base" --exclude='./var/cache/apt/archives/*' -c . | podman import - "docker.io/library/$base"
    rm -rf "$here/base"
}

podman image exists "$base" || podman pull --quiet "docker.io/library/$base" 2>/dev/null || make_base >"$here/base.log" 2>&1
"$root/containers/build.sh" >"$here/build.log" 2>&1 || { tail -n 50 "$here/build.log"; exit 1; }
while read -r image size; do
    say "image \`${image#localhost/}\`" "$size on disk"
done < <(grep -E '^(localhost/)?intronaut/[^ ]+ [0-9]' "$here/build.log")
version=$(sed -n "s/^ *version = '\(.*\)'/\1/p" "$root/nextflow.config")
say "tools on PATH of \`core-tool\`, \`torch-tool\`" "$(podman run --rm "intronaut/core-tool:$version" fit.py --version), $(
    podman run --rm "intronaut/torch-tool:$version" embed_motifs.py --version)"

reference
study "$here/demo" -profile demo,podman >"$here/demo.log" || { cat "$here/demo.log"; exit 1; }
[ -z "$(grep -L 'podman run' "$here"/demo/work/*/*/.command.run)" ]
say "demo under Podman against the demo without containers" "$(same_results "$here/demo")"
rm -rf "$here/demo"
