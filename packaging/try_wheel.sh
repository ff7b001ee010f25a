#!/usr/bin/env bash
# Builds the wheel, installs it into an environment of its own outside the checkout, and does a job with it:
# resources and plugins must have come along. Needs "make setup" (or lint, or test) to have run.
set -euo pipefail
checkout=$(cd "$(dirname "$0")/.." && pwd)
python="${HER2VIEWER_VENV:-$checkout/.venv}/bin/python"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

echo "Building the wheel"
"$python" -m build --wheel --outdir "$place/dist" "$checkout" >"$place/build.log" 2>&1 || { tail -n 30 "$place/build.log"; exit 1; }
echo "Installing it into a fresh environment"
"$python" -m venv "$place/venv"
"$place/venv/bin/python" -m pip install -q --disable-pip-version-check -c "$checkout/packaging/constraints.txt" "$place"/dist/*.whl

# From another folder, so that nothing of the checkout is importable by accident.
mkdir "$place/elsewhere"
cd "$place/elsewhere"
export HER2VIEWER_HOME="$place/home" QT_QPA_PLATFORM=offscreen
"$place/venv/bin/her2viewer" --version
"$place/venv/bin/her2viewer" doctor
"$place/venv/bin/her2viewer" scorers
"$place/venv/bin/her2viewer" train --list
"$place/venv/bin/her2viewer" models
"$place/venv/bin/her2viewer" score --sample --out "$place/out"
for name in report.pdf report.json annotations.geojson; do
    test -s "$place/out/$name" || { echo "$name is missing"; exit 1; }
done
"$place/venv/bin/python" -m her2viewer.commands.trip "$place/trip"
echo "The installed wheel works."
