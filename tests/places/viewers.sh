#!/usr/bin/env bash
# Open what runs leave for other programs: report and cards in a browser, two runs together in MultiQC, and the IGV session
# in igv.js.
# Usage: viewers.sh [RESULTS RESULTS], two folders of results; without them the demo is run, and once more with matched
# introns. Pictures of both pages are kept in $places/viewers. Needs the package indexes of pip and npm.
. "$(dirname "$0")/common.sh"
need chromium chromium npm npm
work=$places/viewers
mkdir -p "$work"
if [ $# = 0 ]; then
    reference
    local_study "$places/matched" -profile demo --match length,gc -resume >"$places/matched.log"
    set -- "$places/reference/results" "$places/matched/results"
fi
browse() {
    timeout 120 chromium --headless --no-sandbox --disable-gpu --hide-scrollbars --user-data-dir="$work/profile" \
        --virtual-time-budget=30000 --window-size=1400,2000 "$@" 2>/dev/null
}

# report and cards: no script error, no request, contrast, text for figures, answers on the first screen
pages=("$1"/report.html "$2"/report.html "$1"/cards/*/cards.html)
say "faults of reports and cards at three widths, light and dark" \
    "$("$root/.venv/bin/python" "$root/tests/helpers/page_checks.py" "${pages[@]}" | grep -c '^  ' || true) in ${#pages[@]} pages"

# MultiQC: every run has its bar, its flags and its models, and versions are listed
[ -x "$work/venv/bin/multiqc" ] || { python3 -m venv "$work/venv" && "$work/venv/bin/pip" install --quiet multiqc; }
rm -rf "$work/runs"
mkdir -p "$work/runs"
cp -r "$1/multiqc" "$work/runs/1"
cp -r "$2/multiqc" "$work/runs/2"
"$work/venv/bin/multiqc" --quiet --force --outdir "$work/multiqc" "$work/runs" >"$work/multiqc.log" 2>&1
browse --screenshot="$work/multiqc.png" "file://$work/multiqc/multiqc_report.html"
for table in labels_plot flags_table models_table; do
    say "runs that MultiQC shows in $table" \
        "$(sed -E '1d; s/[|\t].*//; s/ $//' "$work/multiqc/multiqc_data/multiqc_intronaut_$table.txt" | sort -u | wc -l) of 2"
done
say "Intronaut's version in MultiQC's list" \
    "$(sed -n 's/^Intronaut\t//p' "$work/multiqc/multiqc_data/multiqc_software_versions.txt" | cut -f1)"

# IGV: igv.js opens the session beside its tracks and reads every one of them
[ -f "$work/package/dist/igv.min.js" ] || (cd "$work" && npm pack --silent igv && tar xzf igv-*.tgz)
rm -rf "$work/tracks"
cp -r "$1/tracks" "$work/tracks"
gzip -dc "$root/assets/demo/chr19_6Mb.fa.gz" >"$work/genome.fa"
"$root/.venv/bin/python" -c "import pysam; pysam.faidx('$work/genome.fa')"
cat >"$work/tracks/page.html" <<'PAGE'
<!DOCTYPE html><title>session</title><div id="igv"></div><pre id="found"></pre>
<script src="../package/dist/igv.min.js"></script><script>
const genome = { id: 'hg38', name: 'GRCh38', fastaURL: '../genome.fa', indexURL: '../genome.fa.fai' };
(async () => {
  const browser = await igv.createBrowser(document.querySelector('#igv'),
    { genome: 'hg38', loadDefaultGenomes: false, genomes: [genome] });
  await browser.loadSession({ url: 'igv_session.xml' });
  const lines = [];
  for (const track of browser.findTracks(track => track.url))
    lines.push(`${track.url} ${(await track.getFeatures('19', 0, 6000000, 1000)).length}`);
  document.querySelector('#found').textContent = lines.join('\n');
})();
</script>
PAGE
port=8${RANDOM: -3}
"$root/.venv/bin/python" -m http.server "$port" --bind 127.0.0.1 --directory "$work" >"$work/server.log" 2>&1 &
server=$!
trap 'kill $server' EXIT
wait_for "" "$work/server.log"
sleep 1
browse --screenshot="$work/igv.png" "http://127.0.0.1:$port/tracks/page.html"
browse --dump-dom "http://127.0.0.1:$port/tracks/page.html" |
    tr '\n' ' ' | grep -o '<pre id="found">[^<]*' | sed 's/.*>//' | xargs -n 2 >"$work/igv.txt"
wanted=$(grep -c '<Resource ' "$work/tracks/igv_session.xml")
opened=$(awk '$2 > 0' "$work/igv.txt" | wc -l)
say "tracks of the IGV session that igv.js opens and finds features in" "$opened of $wanted"
[ "$opened" = "$wanted" ]
