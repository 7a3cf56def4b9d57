"""The programs that these tests run, and what is said where one is missing."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PUBLISHED = ROOT / "target/image"
FETCHED = ROOT / "target/tools/oci"
sys.path.insert(0, str(ROOT / "envoy/image"))

# skopeo and buildah are to leave nothing on this machine. They keep what they remember where this says, but only if they
# believe that they are not root, which they tell by the variable.
REMEMBERED = tempfile.TemporaryDirectory()
PLACES = ("XDG_DATA_HOME", "XDG_RUNTIME_DIR", "TMPDIR")
ALONE = {**dict.fromkeys(PLACES, REMEMBERED.name), "_CONTAINERS_ROOTLESS_UID": "65532"}


def skip(reason):
    """Skips the test, and has it listed when the run is over. With REQUIRE_ALL=1 it fails."""
    if os.environ.get("REQUIRE_ALL") == "1":
        raise AssertionError(reason)
    if listed := os.environ.get("PORTCULLIS_SKIPPED"):
        with open(listed, "a") as file:
            file.write(f"{reason}\n")
    raise unittest.SkipTest(reason)


class Case(unittest.TestCase):
    """A test with a directory, and with what else it holds until it is over."""

    def setUp(self):
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        self.held = stack.enter_context
        self.directory = Path(self.held(tempfile.TemporaryDirectory()))


def tool(name):
    fetched = FETCHED / "bin" / name
    found = str(fetched) if fetched.exists() else shutil.which(name)
    return found or skip(f"{name} is not here: tests/tools/oci.sh says how to get it")


def token_service():
    # Of others that Cargo may have built nobody knows from when they are.
    path = Path(os.environ.get("PORTCULLIS_BIN") or ROOT / "target/debug/portcullis")
    if path.exists():
        return path
    return skip("no token-service is built, and PORTCULLIS_BIN names none")


def run(*command, check=True, **more):
    """What it wrote, both streams; fails with that if the program does."""
    # The fetched programs' own libraries, where this machine has none. Nobody else is to see them.
    environment = {**os.environ, **ALONE, **more.pop("env", {})}
    if Path(str(command[0])).is_relative_to(FETCHED):
        environment["LD_LIBRARY_PATH"] = str(FETCHED / "lib")
    done = subprocess.run(
        [str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment, **more
    )
    text = done.stdout.decode(errors="replace")
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: ended with {done.returncode}\n{text}")
    return text if check else (done.returncode, text)


@contextlib.contextmanager
def process(*command, **more):
    """A program that runs for as long as the block does, and no longer than this process; where its output goes."""
    with tempfile.NamedTemporaryFile() as log:
        started = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", *map(str, command)], stdout=log, stderr=subprocess.STDOUT, **more
        )
        try:
            yield started, Path(log.name)
        finally:
            started.kill()
            started.wait()


def said(started, log, pattern):
    """Waits until the program has written what the pattern matches, and gives its first group."""
    # Half a minute, of which a tenth of a second is what is noticed.
    for _ in range(300):
        text = log.read_text(errors="replace")
        if found := re.search(pattern, text):
            return found[1]
        with contextlib.suppress(subprocess.TimeoutExpired):
            started.wait(0.1)
            raise AssertionError(f"it has ended with {started.returncode}\n{text}")
    raise AssertionError(f"it has not written {pattern}\n{text}")


@contextlib.contextmanager
def registry(directory):
    """A registry on a port that nobody else has; its address."""
    configuration = directory / "registry.yml"
    configuration.write_text(
        "version: 0.1\n"
        f"storage: {{ filesystem: {{ rootdirectory: {directory}/registry }} }}\n"
        "http: { addr: 127.0.0.1:0 }\n"
    )
    with process(tool("docker-registry"), "serve", configuration) as (started, log):
        yield said(started, log, r"listening on (127\.0\.0\.1:[0-9]+)")


def copy(source, target, *options, check=True):
    plain = ["--src-tls-verify=false", "--dest-tls-verify=false"]
    return run(tool("skopeo"), "--insecure-policy", "copy", "--quiet", *plain, *options, source, target, check=check)


class Builder:
    """buildah, with a store of its own. Without root it works in a user namespace."""

    def __init__(self, directory):
        # Who signs what may be used: nobody asks here, and a machine without containers has no such file.
        self.policy = directory / "policy.json"
        self.policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        store = ["--root", directory / "store", "--runroot", directory / "run", "--storage-driver", "vfs"]
        alone = [] if os.geteuid() == 0 else ["unshare", "--map-root-user"]
        # Given by `env`, because `unshare` comes first then.
        given = ["env", f"LD_LIBRARY_PATH={FETCHED / 'lib'}"]
        self.command = [*alone, *given, tool("buildah"), *store]
        self.try_it(directory)

    def try_it(self, directory):
        """Some machines let nobody build images."""
        with tempfile.TemporaryDirectory(dir=directory) as context:
            file = Path(context, "Containerfile")
            file.write_text("FROM scratch\nCOPY Containerfile /\n")
            try:
                self.build(file, context)
            except AssertionError as error:
                skip(f"buildah builds nothing here: {error}")

    def build(self, file, context, *options):
        """Builds an image and gives its layout."""
        layout = Path(tempfile.mkdtemp(dir=self.policy.parent)) / "layout"
        given = ["--signature-policy", self.policy, "--isolation", "chroot", "--file", file, "--tag", f"oci:{layout}"]
        run(*self.command, "build", *given, *options, context)
        return layout
