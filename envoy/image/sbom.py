"""Writes what the two shipped programs are made of, as CycloneDX JSON: sbom.py DIRECTORY [--target TRIPLE]

Cargo says which crates, by the very resolution of features that a build of that package alone has: `cargo metadata` would
add what only the tests switch on. Cargo.lock says by which digests. Nothing in it is of this machine or of today, so two
runs agree.
"""

import argparse
import hashlib
import json
import re
import subprocess
import uuid
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packageurl import PackageURL

ROOT = Path(__file__).resolve().parents[2]
# The one registry that deny.toml lets crates come from.
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"


def locked():
    """The digest of each crate's archive by name and version; None for those of this workspace."""
    crates = {}
    for entry in (ROOT / "Cargo.lock").read_text().split("[[package]]")[1:]:
        field = dict(re.findall(r'^(name|version|source|checksum) = "(.*)"$', entry, re.MULTILINE))
        if field.get("source", REGISTRY) != REGISTRY:
            raise SystemExit(f"{field['name']} comes from {field['source']}, which has no package URL here")
        crates[field["name"], field["version"]] = field.get("checksum")
    return crates


def tree(package, target, edges):
    """The licence of each crate by (name, version), and who depends directly on whom. The first is the package itself."""
    command = ["cargo", "tree", "--locked", "--package", package, "--target", target, "--edges", edges]
    command += ["--prefix", "depth", "--format", "|{p}|{l}"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    crates, needs, above = {}, {}, []
    for line in lines:
        depth, crate, licence = line.split("|")
        name, version = crate.split()[:2]
        key = name, version.removeprefix("v")
        # What is below a crate that was there before is not repeated, only its line; "(*)" ends such a line.
        crates.setdefault(key, licence.removesuffix(" (*)"))
        del above[int(depth) :]
        if above:
            needs.setdefault(above[-1], set()).add(key)
        above.append(key)
    return crates, needs


def bundled(target):
    """SQLite, whose C source comes inside of a crate: what is wrong with it is told under its own name and version."""
    command = ["cargo", "metadata", "--locked", "--format-version", "1", "--filter-platform", target]
    packages = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)["packages"]
    crate = next(package for package in packages if package["name"] == "libsqlite3-sys")
    header = (Path(crate["manifest_path"]).parent / "sqlite3/sqlite3.h").read_text()
    version = re.search(r'^#define SQLITE_VERSION\s+"(.*)"$', header, re.MULTILINE)[1]
    return Component(
        name="sqlite",
        version=version,
        type=ComponentType.LIBRARY,
        bom_ref=f"sqlite@{version}",
        purl=PackageURL("generic", None, "sqlite", version),
        cpe=f"cpe:2.3:a:sqlite:sqlite:{version}:*:*:*:*:*:*:*",
        # What SPDX calls the words in place of a licence.
        licenses=[LicenseFactory().make_from_string("blessing")],
    )


def licences(expression):
    # Before SPDX expressions, Cargo's way to say "or" was a slash.
    return [LicenseFactory().make_from_string(re.sub(r"\s*/\s*", " OR ", expression))] if expression else []


def component(key, licence, checksum, **more):
    name, version = key
    # Crates of this workspace are in no registry, and a package URL would name whoever takes their names there.
    purl = PackageURL("cargo", None, name, version) if checksum else None
    more.setdefault("hashes", [HashType(alg=HashAlgorithm.SHA_256, content=checksum)] if checksum else [])
    more.setdefault("type", ComponentType.LIBRARY)
    more["bom_ref"] = str(purl) if purl else f"{name}@{version}"
    return Component(name=name, version=version, purl=purl, licenses=licences(licence), **more)


def bill(package, target, shipped=None):
    checksums = locked()
    # With procedural macros and what they use. They run while the rest is compiled, and are not in what is shipped.
    crates, needs = tree(package, target, "normal")
    linked, _ = tree(package, target, "normal,no-proc-macro")
    root, *others = crates
    hashes = []
    if shipped:
        hashes = [HashType(alg=HashAlgorithm.SHA_256, content=hashlib.sha256(shipped.read_bytes()).hexdigest())]
    made = {root: component(root, crates[root], None, type=ComponentType.APPLICATION, hashes=hashes)}
    for key in others:
        scope = ComponentScope.REQUIRED if key in linked else ComponentScope.EXCLUDED
        made[key] = component(key, crates[key], checksums[key], scope=scope)

        if key[0] == "libsqlite3-sys":
            made[key].components.add(bundled(target))

    bom = Bom(components=[made[key] for key in others])
    bom.metadata.component = made[root]
    bom.metadata.properties.add(Property(name="portcullis:target", value=target))
    # A document needs no time, and its number is that of its content, or two of the same would differ.
    bom.metadata.timestamp = None
    content = "\n".join([target, *sorted(f"{key} {crates[key]} {checksums.get(key)}" for key in crates), str(hashes)])
    bom.serial_number = uuid.uuid5(uuid.NAMESPACE_OID, content)
    for key in crates:
        bom.register_dependency(made[key], [made[need] for need in needs.get(key, ())])
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def problem(document):
    """What the official schema has against it, which the library carries; None for nothing."""
    return JsonStrictValidator(SchemaVersion.V1_6).validate_str(document)


def main():
    arguments = argparse.ArgumentParser(description="writes what the shipped programs are made of")
    arguments.add_argument("directory", type=Path, help="where oci.py has put the module, and the bills go")
    arguments.add_argument("--target", default="x86_64-unknown-linux-gnu", help="what the token-service is built for")
    given = arguments.parse_args()
    for document, name in [
        (bill("portcullis-filter", "wasm32-wasip1", given.directory / "portcullis_filter.wasm"), "portcullis-filter"),
        (bill("portcullis-token-service", given.target), "portcullis-token-service"),
    ]:
        if wrong := problem(document):
            raise SystemExit(f"{name}: not CycloneDX: {wrong}")
        (given.directory / f"{name}.cdx.json").write_text(document)


if __name__ == "__main__":
    main()
