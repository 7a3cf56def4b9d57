"""The token-service's image: its Containerfile built but for the compiling, and run on Debian 13's libraries."""

import contextlib
import json
import os
import re
import shutil
import sys
import tempfile
import unittest
import urllib.request
from pathlib import Path

import compat
import tools

IMAGE = tools.ROOT / "envoy/image"
CONTAINERFILE = IMAGE / "token-service.Containerfile"
LOADER = "ld-linux-x86-64.so.2"
# Of what the distroless image `cc` has; it has libstdc++ and OpenSSL as well, which are not ours to lean on.
LIBRARIES = {"libc.so.6": "libc6", "libm.so.6": "libc6", LOADER: "libc6", "libgcc_s.so.1": "libgcc-s1"}
NOBODY = 65532
CONFIGURATION = """
public_url: https://mcp.example.com
listeners: { internal: "127.0.0.1:0", admin: "127.0.0.1:0", public: "127.0.0.1:0" }
store: { sqlite: /data/portcullis.db }
root_key: { file: /data/root.key }
admin_token_file: /data/admin-token
"""
# In namespaces of its own: the root read-only, and one place to write to, as a cluster mounts it.
INSIDE = """
set -eu
mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && mount -t tmpfs -o mode=0777 tmpfs "$1/data"
root=$1; shift
exec chroot $user "$root" "$@"
"""


def needed(program):
    return set(re.findall(r"\(NEEDED\).*\[(.*)\]", tools.run("readelf", "--dynamic", program)))


class Containerfiles(unittest.TestCase):
    def lint(self, *files):
        hadolint = Path(sys.executable).with_name("hadolint")
        if not hadolint.exists():
            tools.skip("hadolint is not here: the Containerfiles are not linted")
        return tools.run(hadolint, *files, check=False)

    def test_nothing_is_wrong_with_them(self):
        status, text = self.lint(*sorted(IMAGE.glob("*.Containerfile")))
        self.assertEqual(status, 0, text)

    def test_that_would_be_seen(self):
        with tempfile.NamedTemporaryFile("w", suffix=".Containerfile") as file:
            file.write(re.sub(r"FROM \$\{RUNTIME_IMAGE\}", "FROM debian:latest", CONTAINERFILE.read_text()))
            file.flush()
            status, text = self.lint(file.name)
        self.assertNotEqual(status, 0)
        self.assertIn("DL3007", text)


class Libraries(unittest.TestCase):
    def test_the_program_needs_none_that_the_image_lacks(self):
        self.assertLessEqual(needed(tools.token_service()), LIBRARIES.keys())

    def test_that_would_be_seen(self):
        self.assertIn("libgpgme.so.11", needed(tools.tool("skopeo")) - LIBRARIES.keys())


class Image(tools.Case):
    def setUp(self):
        super().setUp()
        self.builder = tools.Builder(self.directory)
        self.ignored = ["--ignorefile", f"{CONTAINERFILE}.dockerignore"]

    def unpacked(self, layout):
        root = Path(tempfile.mkdtemp(dir=self.directory))
        _, _, config, layers = compat.open_image(layout)
        for layer in layers:
            tools.run("tar", "-x", "--no-same-owner", "-C", root, input=layer)
        # Temporary directories are closed to others, and the image's root is not.
        root.chmod(0o755)
        return root, config["config"], layers

    def test_the_sources_are_all_that_cargo_asks_for(self):
        # The file that says this to rustup is not among the sources.
        channel = re.search('channel = "(.*)"', (tools.ROOT / "rust-toolchain.toml").read_text())[1]

        def tree(directory):
            command = ["cargo", "tree", "--quiet", "--locked", "--package", "portcullis-token-service"]
            form = ["--prefix", "none", "--edges", "normal,build"]
            status, text = tools.run(*command, *form, check=False, cwd=directory, env={"RUSTUP_TOOLCHAIN": channel})
            return status, re.sub(r"\(/.*?\)", "", text)

        root, _, _ = self.unpacked(self.builder.build(CONTAINERFILE, tools.ROOT, "--target", "sources", *self.ignored))
        self.assertEqual(tree(root), tree(tools.ROOT))
        self.assertEqual(tree(root)[0], 0)
        shutil.rmtree(root / "wire")
        self.assertNotEqual(tree(root)[0], 0)

    def build(self, address):
        runtime = self.directory / "runtime"
        for name, package in LIBRARIES.items():
            library = tools.FETCHED / "debian13" / package / name
            if not library.exists():
                tools.skip("Debian 13's libraries are not here: the token-service's image is not run")
            place = runtime / ("lib64" if name == LOADER else "lib/x86_64-linux-gnu")
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(library, place / name)
        base = self.directory / "runtime.Containerfile"
        base.write_text("FROM scratch\nCOPY . /\nUSER root\n")
        # Named as the README has it, by digest in a registry.
        layout = self.builder.build(base, runtime)
        named = f"{address}/runtime@{json.loads((layout / 'index.json').read_bytes())['manifests'][0]['digest']}"
        tools.copy(f"oci:{layout}", f"docker://{named}", "--preserve-digests")

        # In place of the stage that compiles: what was compiled here.
        compiled = self.directory / "compiled"
        (compiled / "out").mkdir(parents=True)
        shutil.copy(tools.token_service(), compiled / "out/portcullis")
        images = ["--build-arg", "BUILD_IMAGE=scratch", "--build-arg", f"RUNTIME_IMAGE={named}", "--tls-verify=false"]
        instead = ["--build-context", f"build={compiled}"]
        return self.builder.build(CONTAINERFILE, tools.ROOT, *images, *instead, *self.ignored)

    def inside(self, root, *command):
        script = self.directory / "inside.sh"
        script.write_text(INSIDE)
        # Without root there is one user to be, in a namespace.
        private = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--mount", "--map-root-user"]
        if tools.run(*private, "true", check=False)[0]:
            tools.skip("no namespaces for this user: the token-service's image is not run")
        user = f"--userspec={NOBODY}:{NOBODY}" if os.geteuid() == 0 else ""
        return ["env", f"user={user}", *private, "sh", script, root, *command]

    def test_it_serves_as_nobody_from_a_root_that_is_read_only(self):
        address = self.held(tools.registry(self.directory))
        root, config, layers = self.unpacked(self.build(address))
        self.assertEqual(config["User"], f"{NOBODY}:{NOBODY}")
        added = {entry.name for entry, content in compat.members(layers[-1]) if content is not None}
        self.assertEqual(added, {"usr/local/bin/portcullis"})
        self.assertFalse((root / "bin/sh").exists())

        (root / "etc/portcullis").mkdir(parents=True)
        (root / "data").mkdir()
        file = root / "etc/portcullis/portcullis.yaml"
        file.write_text(CONFIGURATION)
        tools.run(*self.inside(root, *config["Entrypoint"], "check", *config["Cmd"][1:]))
        with tools.process(*self.inside(root, *config["Entrypoint"], *config["Cmd"])) as (started, log):
            public = tools.said(started, log, r'"public":"(http://127\.0\.0\.1:[1-9][0-9]*)"')
            with contextlib.closing(urllib.request.urlopen(f"{public}/readyz", timeout=10)) as answer:
                self.assertEqual(answer.status, 200)
            status = Path(f"/proc/{started.pid}/status").read_text()
            if os.geteuid() == 0:
                self.assertRegex(status, rf"Uid:\t{NOBODY}\t{NOBODY}\t{NOBODY}\t{NOBODY}")

        # That the root is read-only, and that the libraries are those of the image.
        file.write_text(CONFIGURATION.replace("/data/portcullis.db", "/portcullis.db"))
        status, text = tools.run(*self.inside(root, *config["Entrypoint"], *config["Cmd"]), check=False, timeout=60)
        self.assertNotEqual(status, 0, text)
        (root / "lib/x86_64-linux-gnu/libgcc_s.so.1").unlink()
        status, text = tools.run(*self.inside(root, *config["Entrypoint"], "version"), check=False)
        self.assertIn("libgcc_s.so.1", text)
        self.assertNotEqual(status, 0)


class Documented(unittest.TestCase):
    def test_the_readme_names_what_the_containerfile_asks_for(self):
        asked = set(re.findall(r"^ARG (\w+)$", CONTAINERFILE.read_text(), re.MULTILINE))
        self.assertEqual(asked, set(re.findall(r"--build-arg (\w+)=", (IMAGE / "README.md").read_text())))


if __name__ == "__main__":
    unittest.main()
