#!/usr/bin/env bash
# Build the images of containers/ with docker or podman, whichever runs here, and print their sizes.
#   intronaut/NAME:VERSION       dependencies only, what the pipeline's processes name
#   intronaut/NAME-tool:VERSION  with the tools on PATH, for `docker run` and Galaxy
# usage: containers/build.sh [option of the build, e.g. --platform linux/arm64 or --build-arg CPU_TORCH_INDEX=URL] …
set -euo pipefail
cd "$(dirname "$0")/.."
if docker info >/dev/null 2>&1; then
    engine=docker
elif command -v podman >/dev/null; then
    engine=podman
else
    echo "containers/build.sh: neither a running docker nor podman; install one of them" >&2
    exit 1
fi
version=$(sed -n "s/^ *version = '\(.*\)'/\1/p" nextflow.config)
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
for dockerfile in containers/*/Dockerfile; do
    name=$(basename "$(dirname "$dockerfile")")
    for stage in env tool; do
        [ "$stage" = env ] && image=intronaut/$name || image=intronaut/$name-tool
        "$engine" build "$@" --file "$dockerfile" --target "$stage" --tag "$image:$version" \
            --label "org.opencontainers.image.version=$version" --label "org.opencontainers.image.revision=$revision" .
    done
done
"$engine" image ls --filter "label=org.opencontainers.image.version=$version" \
    --format '{{.Repository}}:{{.Tag}} {{.Size}}' | grep intronaut/
