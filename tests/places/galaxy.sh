#!/usr/bin/env bash
# The wrappers of galaxy/ in a real Galaxy: planemo's linter, every <tests> as a job on a server from PyPI, the example
# workflow through the server's API, and hostile names and values. Prints the outcomes as the table of docs/galaxy.md.
#
# usage: tests/places/galaxy.sh [TOOL …]    all tools and the rest, or the <tests> of the tools named (fit, embed_sei …)
#
# Needs the environment of `make` and PyPI. The server and its files live in .cache/galaxy; no containers are used: jobs
# find the tools on PATH.
set -euo pipefail
cd "$(dirname "$0")/../.."
place=$PWD/.cache/galaxy
server_packages="galaxy-web-apps==26.1.2 galaxy-job-execution==26.1.2 galaxy-tool-util==26.1.2 bioblend==1.9.0"

venv() { # NAME PACKAGE…: an environment with these packages, made once
    local folder=$place/$1 && shift
    if [ "$(cat "$folder/.packages" 2>/dev/null)" != "$*" ]; then
        python3 -m venv --clear "$folder"
        "$folder/bin/pip" install --quiet --disable-pip-version-check "$@"
        echo "$*" >"$folder/.packages"
    fi
}

mkdir -p "$place"
# shellcheck disable=SC2086
venv server $server_packages
venv planemo planemo==0.75.47
if [ $# = 0 ]; then
    "$place/planemo/bin/planemo" lint --report_level warn --skip BioToolsValid galaxy
fi
exec "$place/server/bin/python" tests/places/galaxy_server.py "$@"
