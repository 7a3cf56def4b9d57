"""Packs the filter as an OCI image of the "compat" layout: oci.py MODULE INTO [--source URL]

Istio and Envoy Gateway take such an image, and so does every registry. The bytes depend on the module, the workspace's
version and licence, and this file alone: whoever has the module can make the image again and compare the digest. Of the
standard library only, so that a publisher needs nothing else.
"""

import argparse
import hashlib
import io
import json
import re
import shutil
import struct
import tarfile
import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
# Also for a layer that could go without compression: Istio and Envoy Gateway take no other type.
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def workspace(key):
    table = (ROOT / "Cargo.toml").read_text().split("[workspace.package]")[1].split("\n[")[0]
    return re.search(rf'^{key} = "(.*)"$', table, re.MULTILINE)[1]


def tar(files):
    """What `tar` would add of this machine (owner, mode, time) is the same everywhere here."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            member = tarfile.TarInfo(name.rstrip("/"))
            member.size, member.mode = len(content), 0o644
            if name.endswith("/"):
                member.type, member.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def gzip(content):
    """Stored, not compressed: each release of zlib compresses to bytes of its own, and the digest would depend on it.
    The price is a megabyte, once for each proxy."""
    # RFC 1952: no name, no time, no flags, "unknown" as the system. RFC 1951: blocks of type 0, the last one marked.
    out = [b"\x1f\x8b\x08" + bytes(6) + b"\xff"]
    for start in range(0, max(len(content), 1), 0xFFFF):
        block = content[start : start + 0xFFFF]
        out += [struct.pack("<BHH", start + 0xFFFF >= len(content), len(block), len(block) ^ 0xFFFF), block]
    return b"".join([*out, struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)])


def sha256(content):
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image(module, source=None):
    """The files of the layout by name, and the digest of the manifest."""
    version = workspace("version")
    archive = tar([("plugin.wasm", module)])
    layer = gzip(archive)
    # The specification asks for a platform, and has none that means "any". Neither Istio nor Envoy Gateway looks at it;
    # a kubelet that mounts the image as a volume does.
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(archive)]},
    }
    annotations = {
        "module.wasm.image/variant": "compat",
        "org.opencontainers.image.description": "Envoy filter (proxy-wasm) of Portcullis",
        "org.opencontainers.image.licenses": workspace("license"),
        "org.opencontainers.image.title": "portcullis-filter",
        "org.opencontainers.image.version": version,
    }
    if source:
        annotations["org.opencontainers.image.source"] = source

    blobs = {}

    def add(media_type, content):
        blobs[f"blobs/{sha256(content).replace(':', '/')}"] = content
        return {"mediaType": media_type, "digest": sha256(content), "size": len(content)}

    def document(value):
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()

    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "annotations": annotations}
    manifest["config"] = add(CONFIG, document(config))
    manifest["layers"] = [add(LAYER, layer)]
    entry = add(MANIFEST, document(manifest))
    digest = entry["digest"]
    entry["annotations"] = {"org.opencontainers.image.ref.name": version}
    index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [entry]}
    files = {"oci-layout": document({"imageLayoutVersion": "1.0.0"}), "index.json": document(index), **blobs}
    return files, digest


def main():
    arguments = argparse.ArgumentParser(description="packs the filter as an OCI image")
    arguments.add_argument("module", type=Path)
    arguments.add_argument("into", type=Path, help="the layout, the archive, the digest and the module are put here")
    arguments.add_argument("--source", help="where the code is, for the annotation of that name")
    given = arguments.parse_args()

    module = given.module.read_bytes()
    files, digest = image(module, given.source)
    layout = given.into / "portcullis-filter"
    # Blobs of an image before this one would be pushed with it.
    shutil.rmtree(layout, ignore_errors=True)
    for name, content in files.items():
        (layout / name).parent.mkdir(parents=True, exist_ok=True)
        (layout / name).write_bytes(content)
    # Directories that are not named skopeo would want to give to root, and nobody has to be root.
    directories = [("blobs/", b""), ("blobs/sha256/", b"")]
    (given.into / "portcullis-filter.oci.tar").write_bytes(tar(sorted([*files.items(), *directories])))
    (given.into / "portcullis-filter.digest").write_text(f"{digest}\n")
    (given.into / "portcullis_filter.wasm").write_bytes(module)
    print(f"manifest  {digest}")
    print(f"module    {sha256(module)}")


if __name__ == "__main__":
    main()
