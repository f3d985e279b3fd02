#!/usr/bin/env bash
# Build sdist and wheel, install the wheel with its dependencies into a clean environment of every Python named (or of
# python3), and run the tools, and the test section of recipe/meta.yaml, from another folder.
# Usage: tests/install.sh [PYTHON …]; needs the package index of pip.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
mkdir "$scratch/source"
(cd "$root" && cp -r bin pyproject.toml setup.py README.md LICENSE NOTICE "$scratch/source")
"$root/.venv/bin/python" -m build --no-isolation --outdir "$scratch/dist" "$scratch/source" >"$scratch/build.log" 2>&1 ||
    { tail -20 "$scratch/build.log"; exit 1; }
demo=$root/assets/demo
installed=0

for python in "${@:-python3}"; do
    version=$("$python" -c 'import platform; print(platform.python_version())')
    environment=$scratch/env-$version
    "$python" -m venv "$environment"
    # a package without a wheel for this Python would be compiled: that is named instead
    if ! "$environment/bin/pip" install --quiet --disable-pip-version-check --no-compile --only-binary :all: \
        "$scratch"/dist/*.whl 2>"$scratch/pip.log"; then
        echo "Python $version: no wheel: $(grep -m1 -oE 'for [A-Za-z0-9_.-]+' "$scratch/pip.log" || tail -1 "$scratch/pip.log")"
        continue
    fi
    mkdir "$scratch/run-$version"
    (
        cd "$scratch/run-$version"
        export PATH="$environment/bin:$PATH"
        intronaut label-introns "$demo"/*.gff3.gz --fasta "$demo"/*.fa.gz -o labels.tsv --quiet
        intronaut fetch_sequences labels.tsv --fasta "$demo"/*.fa.gz -o windows.fa.gz --quiet
        intronaut embed-kmers windows.fa.gz -o kmers.h5ad --quiet
        intronaut fit --features kmers.h5ad --labels labels.tsv -o model --bootstrap 100 --quiet
        intronaut explain --model model --features kmers.h5ad -o explained --quiet
        intronaut explain-intron --model model --features kmers.h5ad --top 3 -o cards --quiet
        test -s model/model.json -a -s explained/groups.tsv -a -s cards/cards.html
        sed -n '/^test:/,/^about:/s/^    - //p' "$root/recipe/meta.yaml" | while read -r line; do
            case $line in
            intronaut.*) python -c "import $line" ;;
            *) $line >/dev/null ;;
            esac
        done
    )
    echo "Python $version: installed and run"
    installed=$((installed + 1))
done
[ "$installed" -gt 0 ] || { echo "no Python could install the package"; exit 1; }
