#!/bin/bash
# Demo with qgis_process: simulates SLC-off gaps in a scene, fills them, and compares the result with the original.
# Usage: demo.sh FOLDER. Fails if a step fails or an output is missing.
set -euo pipefail
tools=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
folder=$1
engine=$tools/../.venv-engine/bin/python

results=(scene.tif scene_with_gaps.tif gap_mask.tif filled.tif uncertainty.tif filled_pixels.tif report.html
    metrics.csv assessment.html assessment.csv)
log=$folder/demo.log
mkdir -p -- "$folder"
# So that results of an earlier run are not mistaken for those of this run.
rm -f -- "$log" "${results[@]/#/$folder/}"

step() { # step ALGORITHM PARAMETER=VALUE...
    echo
    echo "== deepprior:$1"
    "$tools/qgis-process" run "deepprior:$1" -- "${@:2}" 2>&1 | tee -a "$log"
}

number() { # number NAME: the last value that qgis_process printed for an output; empty if there is none
    sed -n "s/^$1:[[:space:]]*//p" "$log" | tail -n 1
}

rounded() { # rounded NAME: the same with one decimal, and a decimal point in every locale
    LC_ALL=C printf '%.1f' "$(number "$1")"
}

echo "== The scene: six Landsat-like bands of the Indian Pines cube"
"$engine" "$tools/make_demo_scene.py" "$folder/scene.tif"

step simulategaps INPUT="$folder/scene.tif" SWATH_FROM=0 SWATH_TO=0.3 \
    OUTPUT="$folder/scene_with_gaps.tif" MASK="$folder/gap_mask.tif"
step gapfillslcoff INPUT="$folder/scene_with_gaps.tif" GAP_MASK="$folder/gap_mask.tif" METHOD=best \
    OUTPUT="$folder/filled.tif" UNCERTAINTY="$folder/uncertainty.tif" FILLED="$folder/filled_pixels.tif" \
    REPORT="$folder/report.html" METRICS="$folder/metrics.csv"
step assessrestoration RESTORED="$folder/filled.tif" REFERENCE="$folder/scene.tif" \
    MASK="$folder/filled_pixels.tif" REPORT="$folder/assessment.html" METRICS="$folder/assessment.csv"

for name in "${results[@]}"; do
    if [ ! -s "$folder/$name" ]; then
        echo "The demo failed: $folder/$name was not written. See $log." >&2
        exit 1
    fi
done
for name in HELDOUT_RMSE BASELINE_RMSE PIXELS_CHANGED PIXELS_LEFT RMSE; do
    if [ -z "$(number "$name")" ]; then
        echo "The demo failed: no $name was reported. See $log." >&2
        exit 1
    fi
done

cat <<END

== Done
Pixels filled: $(number PIXELS_CHANGED); not filled: $(number PIXELS_LEFT)
RMSE on hidden pixels: $(rounded HELDOUT_RMSE) (GDAL's Fill nodata on the same pixels: $(rounded BASELINE_RMSE))
RMSE of the filled pixels, compared with the original: $(rounded RMSE)

Open in QGIS (bands 4, 3, 2 as red, green, blue show fields well):
    $folder/scene_with_gaps.tif   the scene with gaps
    $folder/filled.tif            the result
    $folder/uncertainty.tif       one standard deviation per band
Open in a browser:
    $folder/report.html           validation on hidden pixels
    $folder/assessment.html       comparison with the original
END
