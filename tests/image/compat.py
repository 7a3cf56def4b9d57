"""Reads an OCI layout as strictly as anybody may who is to load the filter from it.

Istio and Envoy Gateway are more lenient: they take the first `plugin.wasm` of the last layer, whatever else is there. What
is published should leave no room for that.
"""

import gzip
import hashlib
import io
import json
import tarfile


class Refused(Exception):
    """The image is not what it should be."""


def ensure(holds, otherwise):
    if not holds:
        raise Refused(otherwise)


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def blob(layout, descriptor):
    path = layout / "blobs" / descriptor["digest"].replace(":", "/")
    ensure(path.is_file(), f"{descriptor['digest']}: not there")
    content = path.read_bytes()
    ensure(len(content) == descriptor["size"], f"{descriptor['digest']}: {len(content)} bytes")
    ensure(sha256(content) == descriptor["digest"], f"{descriptor['digest']}: other bytes")
    return content


def open_image(layout):
    """The one manifest and its digest, its configuration, and the unpacked layers."""
    ensure(json.loads((layout / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}, "no OCI layout")
    entries = json.loads((layout / "index.json").read_bytes())["manifests"]
    ensure(len(entries) == 1, f"{len(entries)} manifests")
    manifest = json.loads(blob(layout, entries[0]))
    config = json.loads(blob(layout, manifest["config"]))
    layers = []
    for descriptor in manifest["layers"]:
        content = blob(layout, descriptor)
        layers.append(gzip.decompress(content) if descriptor["mediaType"].endswith("+gzip") else content)
    ensure([sha256(layer) for layer in layers] == config["rootfs"]["diff_ids"], "the configuration names other layers")
    ensure(layers, "no layer")
    return entries[0]["digest"], manifest, config, layers


def members(layer):
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as archive:
        return [(entry, archive.extractfile(entry).read() if entry.isreg() else None) for entry in archive]


def plugin(layout, module=None):
    """The digest of the manifest and the module in the image, which has to be the given one."""
    digest, manifest, _, layers = open_image(layout)
    media_type = manifest["layers"][-1]["mediaType"]
    ensure(media_type == "application/vnd.oci.image.layer.v1.tar+gzip", f"a layer of the type {media_type}")
    files = members(layers[-1])
    names = [entry.name for entry, _ in files]
    ensure(names == ["plugin.wasm"], f"the last layer holds {names}")
    entry, content = files[0]
    ensure(entry.isreg() and entry.mode & 0o444 == 0o444, "plugin.wasm is no file that everybody may read")
    ensure(content[:8] == b"\0asm\1\0\0\0", "plugin.wasm is no module")
    ensure(module is None or content == module, "plugin.wasm is another module")
    return digest, content
