"""The filter's image: made twice it is the same, a registry gives it back unchanged, and Envoy loads what comes out."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import compat
import tools

import oci  # `tools` says where it is

MODULE = (tools.PUBLISHED / "portcullis_filter.wasm").read_bytes()
DIGEST = (tools.PUBLISHED / "portcullis-filter.digest").read_text().strip()
LAYOUT = tools.PUBLISHED / "portcullis-filter"
SAID = json.loads((LAYOUT / "blobs" / DIGEST.replace(":", "/")).read_bytes())["annotations"]


class Case(tools.Case):
    def written(self, files):
        layout = Path(tempfile.mkdtemp(dir=self.directory))
        for name, content in files.items():
            (layout / name).parent.mkdir(parents=True, exist_ok=True)
            (layout / name).write_bytes(content)
        return layout


class Layout(Case):
    def test_what_is_published_is_the_module_alone(self):
        self.assertEqual(compat.plugin(LAYOUT, MODULE), (DIGEST, MODULE))
        self.assertEqual(MODULE, Path(os.environ["PORTCULLIS_WASM"]).read_bytes())

    def test_nothing_in_it_is_of_the_machine_that_packs(self):
        entry, _ = compat.members(compat.open_image(LAYOUT)[3][-1])[0]
        self.assertEqual((entry.mtime, entry.uid, entry.gid, entry.mode), (0, 0, 0, 0o644))
        self.assertEqual((entry.uname, entry.gname), ("", ""))

    def test_it_says_what_it_is(self):
        said = {name.rpartition(".")[2]: value for name, value in SAID.items()}
        self.assertEqual((said["title"], said["licenses"]), ("portcullis-filter", "Apache-2.0"))
        self.assertRegex(said["version"], r"^\d+\.\d+\.\d+")
        self.assertEqual(SAID["module.wasm.image/variant"], "compat")

    def test_checksums_are_those_of_the_files(self):
        tools.run("sha256sum", "--check", "--strict", "checksums.txt", cwd=tools.PUBLISHED)
        other = self.directory / "published"
        other.mkdir()
        for line in (tools.PUBLISHED / "checksums.txt").read_text().splitlines():
            shutil.copy(tools.PUBLISHED / line.split()[1], other)
        with (other / "portcullis-filter.oci.tar").open("r+b") as archive:
            archive.write(b"x")
        status, text = tools.run("sha256sum", "--check", tools.PUBLISHED / "checksums.txt", check=False, cwd=other)
        self.assertNotEqual(status, 0)
        self.assertIn("portcullis-filter.oci.tar: FAILED", text)


class Again(Case):
    def pack(self, name, **more):
        into = self.directory / name
        source = SAID.get("org.opencontainers.image.source")
        command = [sys.executable, tools.ROOT / "envoy/image/oci.py", os.environ["PORTCULLIS_WASM"], into]
        tools.run(*command, *(["--source", source] if source else []), **more)
        return {path.relative_to(into): path.read_bytes() for path in sorted(into.rglob("*")) if path.is_file()}

    def test_it_is_the_same_wherever_and_whenever_it_is_made(self):
        here = self.pack("here")
        elsewhere = {"cwd": "/", "preexec_fn": lambda: os.umask(0o077)}
        for epoch in ("", "1", "1700000000"):
            told = {"SOURCE_DATE_EPOCH": epoch, "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONHASHSEED": epoch or "7"}
            self.assertEqual(self.pack(f"there{epoch}", env=told, **elsewhere), here)
        self.assertEqual(here[Path("portcullis-filter.digest")].decode().strip(), DIGEST)

    def test_another_module_or_source_has_another_digest(self):
        digests = {oci.image(MODULE)[1], oci.image(MODULE + b"\0")[1], oci.image(MODULE, "https://example.com/x")[1]}
        self.assertEqual(len(digests), 3)

    def test_what_is_stored_is_what_every_reader_unpacks(self):
        for size in (0, 1, 0xFFFF, 0x10000, 3 * 0xFFFF):
            content = os.urandom(size)
            done = subprocess.run(["gzip", "-dc"], input=oci.gzip(content), stdout=subprocess.PIPE, check=True)
            self.assertEqual(done.stdout, content)


class Refusals(Case):
    """Faults that are put into an image, one at a time. The checker refuses each, and for that reason."""

    def refused(self, why, files, module=MODULE):
        with self.assertRaisesRegex(compat.Refused, why):
            compat.plugin(self.written(files), module)

    def packed_as(self, members):
        tar = oci.tar
        with mock.patch.object(oci, "tar", lambda _: tar(members)):
            return oci.image(MODULE)[0]

    def test_nothing_is_wrong_without_a_fault(self):
        compat.plugin(self.written(oci.image(MODULE)[0]), MODULE)

    def test_two_files(self):
        self.refused("holds", self.packed_as([("plugin.wasm", MODULE), ("other.wasm", MODULE)]))
        self.refused("holds", self.packed_as([("plugin.wasm", MODULE), ("plugin.wasm", MODULE)]))

    def test_another_name(self):
        self.refused("holds", self.packed_as([("portcullis_filter.wasm", MODULE)]))
        self.refused("holds", self.packed_as([("bin/plugin.wasm", MODULE)]))

    def test_no_file(self):
        self.refused("holds", self.packed_as([]))

    def test_another_module(self):
        changed = MODULE[:-1] + bytes([MODULE[-1] ^ 1])
        self.refused("another module", oci.image(changed)[0])
        self.refused("no module", oci.image(b"#!/bin/sh\n")[0])

    def test_a_changed_byte_in_any_blob(self):
        files, _ = oci.image(MODULE)
        for name in (name for name in files if name.startswith("blobs/")):
            middle = len(files[name]) // 2
            changed = files[name][:middle] + bytes([files[name][middle] ^ 1]) + files[name][middle + 1 :]
            self.refused("other bytes", {**files, name: changed})
            self.refused("bytes", {**files, name: files[name] + b"\0"})

    def test_another_type_of_layer(self):
        with mock.patch.multiple(oci, LAYER="application/vnd.oci.image.layer.v1.tar", gzip=lambda content: content):
            self.refused("a layer of the type", oci.image(MODULE)[0])

    def test_layers_that_the_configuration_does_not_name(self):
        gzip = oci.gzip
        with mock.patch.object(oci, "gzip", lambda content: gzip(content + bytes(512))):
            self.refused("other layers", oci.image(MODULE)[0])


class Through(Case):
    """A real registry, and a real Envoy."""

    def validate(self, module):
        envoy = os.environ.get("ENVOY", "")
        if not os.access(envoy, os.X_OK):
            tools.skip("Envoy is not here: the pulled filter is not loaded")
        configuration = (tools.ROOT / "envoy/envoy.yaml").read_text()
        # The module's place, and that of the access log, which nobody but root may have here.
        for place, here in [("/etc/envoy/portcullis.wasm", module), ("/var/log/portcullis/", f"{self.directory}/")]:
            self.assertEqual(configuration.count(place), 1)
            configuration = configuration.replace(place, str(here))
        path = self.directory / "envoy.yaml"
        path.write_text(configuration)
        return tools.run(envoy, "--mode", "validate", "--config-path", path, check=False)

    def test_the_way_of_a_publisher_and_of_a_mesh(self):
        address = self.held(tools.registry(self.directory))
        reference = f"docker://{address}/portcullis/filter"
        for tag, source in [("layout", f"oci:{LAYOUT}"), ("archive", f"oci-archive:{LAYOUT}.oci.tar")]:
            tools.copy(source, f"{reference}:{tag}", "--preserve-digests")

        # As Istio and Envoy Gateway find it when a tag and a digest are given.
        for tag in ("layout", "archive"):
            inspected = tools.run(tools.tool("skopeo"), "inspect", "--tls-verify=false", f"{reference}:{tag}")
            self.assertEqual(json.loads(inspected)["Digest"], DIGEST)
        pulled = self.directory / "pulled"
        tools.copy(f"{reference}@{DIGEST}", f"oci:{pulled}", "--preserve-digests")
        digest, content = compat.plugin(pulled, MODULE)
        self.assertEqual(digest, DIGEST)
        status, text = tools.copy(f"{reference}@sha256:{hashlib.sha256(b'').hexdigest()}", f"oci:{pulled}2", check=False)
        self.assertNotEqual(status, 0, text)

        plugin = self.directory / "plugin.wasm"
        plugin.write_bytes(content)
        status, text = self.validate(plugin)
        self.assertEqual(status, 0, text)
        # That it looks into the module at all.
        plugin.write_bytes(content[: len(content) // 2])
        status, text = self.validate(plugin)
        self.assertNotEqual(status, 0)
        self.assertIn("Wasm", text)

    def test_what_is_not_what_its_digest_says_is_not_pushed(self):
        address = self.held(tools.registry(self.directory))
        files, digest = oci.image(MODULE)
        layer = max(files, key=lambda name: len(files[name]))
        layout = self.written({**files, layer: files[layer][:-1] + b"\xff"})
        status, text = tools.copy(f"oci:{layout}", f"docker://{address}/portcullis/filter:1", check=False)
        self.assertNotEqual(status, 0)
        self.assertIn("Digest did not match", text)

    def test_what_the_containerfile_builds_is_taken_too(self):
        address = self.held(tools.registry(self.directory))
        reference = f"docker://{address}/portcullis/filter:1"
        layout = tools.Builder(self.directory).build(tools.ROOT / "envoy/image/filter.Containerfile", tools.PUBLISHED)
        # On its way to a registry a layer is compressed.
        tools.copy(f"oci:{layout}", reference, "--dest-compress-format=gzip")
        pulled = self.directory / "pulled"
        tools.copy(reference, f"oci:{pulled}")
        compat.plugin(pulled, MODULE)


if __name__ == "__main__":
    unittest.main()
