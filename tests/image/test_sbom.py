"""The bills of materials: of the official form, the same each time, and true to what is in the programs."""

import copy
import hashlib
import json
import os
import re
import unittest
from pathlib import Path

import tools

import sbom  # `tools` says where it is

NAMES = ("portcullis-filter", "portcullis-token-service")
TEXTS = {name: (tools.PUBLISHED / f"{name}.cdx.json").read_text() for name in NAMES}
BILLS = {name: json.loads(text) for name, text in TEXTS.items()}


def crates_in(program):
    """The crates of the registry whose code is in a program, as far as it says where a panic would come from."""
    found = re.findall(rb"index\.crates\.io-[0-9a-f]+/([A-Za-z0-9_-]+?)-(\d+\.\d+\.\d+[A-Za-z0-9.+-]*)/", program)
    return {(name.decode(), version.decode()) for name, version in found}


def missing(bill, program):
    linked = {(part["name"], part["version"]) for part in bill["components"] if part["scope"] == "required"}
    return crates_in(program) - linked


class Form(unittest.TestCase):
    def test_they_are_what_the_official_schema_asks_for(self):
        for name, text in TEXTS.items():
            self.assertIsNone(sbom.problem(text), name)
            self.assertEqual((BILLS[name]["bomFormat"], BILLS[name]["specVersion"]), ("CycloneDX", "1.6"))

    def test_that_would_be_seen(self):
        def fault(change):
            bill = copy.deepcopy(BILLS["portcullis-filter"])
            # A hundred components less to look through.
            bill["components"] = bill["components"][:3]
            self.assertIsNone(sbom.problem(json.dumps(bill)))
            change(bill)
            self.assertIsNotNone(sbom.problem(json.dumps(bill)))

        fault(lambda bill: bill.pop("bomFormat"))
        fault(lambda bill: bill.update(serialNumber="17"))
        fault(lambda bill: bill["components"][0].pop("name"))
        fault(lambda bill: bill["components"][0].update(scope="shipped"))
        fault(lambda bill: bill["components"][0]["hashes"][0].update(content="abc"))
        fault(lambda bill: bill["components"].append(bill["components"][0]))

    def test_they_are_the_same_when_they_are_made_again(self):
        module = tools.PUBLISHED / "portcullis_filter.wasm"
        self.assertEqual(sbom.bill("portcullis-filter", "wasm32-wasip1", module), TEXTS["portcullis-filter"])
        for text in TEXTS.values():
            self.assertNotIn("timestamp", text)
            self.assertNotIn(str(tools.ROOT), text)


class Truth(unittest.TestCase):
    def test_every_crate_in_the_programs_is_named(self):
        module = (tools.PUBLISHED / "portcullis_filter.wasm").read_bytes()
        self.assertGreater(len(crates_in(module)), 20)
        self.assertEqual(missing(BILLS["portcullis-filter"], module), set())
        program = tools.token_service().read_bytes()
        self.assertGreater(len(crates_in(program)), 100)
        self.assertEqual(missing(BILLS["portcullis-token-service"], program), set())

        without = copy.deepcopy(BILLS["portcullis-filter"])
        without["components"] = [part for part in without["components"] if part["name"] != "jwt-simple"]
        self.assertEqual(len(missing(without, module)), 1)

    def test_sqlite_is_named_by_the_version_that_is_in_the_program(self):
        crates = BILLS["portcullis-token-service"]["components"]
        inside = [part for crate in crates for part in crate.get("components", [])]
        self.assertEqual([part["name"] for part in inside], ["sqlite"])
        self.assertRegex(inside[0]["version"], r"^3\.\d+\.\d+$")
        self.assertIn(inside[0]["version"].encode() + b"\0", tools.token_service().read_bytes())

    def test_what_only_tests_and_fuzzing_use_is_not(self):
        names = {part["name"] for bill in BILLS.values() for part in bill["components"]}
        lock = (tools.ROOT / "Cargo.lock").read_text()
        for name in ("insta", "libfuzzer-sys", "proptest", "rcgen", "rmcp", "scraper", "wasmparser"):
            self.assertIn(f'name = "{name}"', lock)
            self.assertNotIn(name, names)

    def test_each_part_has_its_digest_licence_and_place(self):
        locked = sbom.locked()
        for bill in BILLS.values():
            for part in bill["components"]:
                checksum = locked[part["name"], part["version"]]
                self.assertTrue(part["licenses"], part["name"])
                if checksum is None:
                    self.assertTrue(part["name"].startswith("portcullis-") and "purl" not in part, part["name"])
                else:
                    self.assertEqual(part["hashes"], [{"alg": "SHA-256", "content": checksum}])
                    # In a package URL a "+" is escaped.
                    self.assertEqual(part["purl"], f"pkg:cargo/{part['name']}@{part['version'].replace('+', '%2B')}")
            needs = {entry["ref"]: entry.get("dependsOn", []) for entry in bill["dependencies"]}
            reached, ahead = set(), [bill["metadata"]["component"]["bom-ref"]]
            while ahead:
                reached.add(here := ahead.pop())
                ahead += set(needs[here]) - reached
            parts = [bill["metadata"]["component"], *bill["components"]]
            self.assertEqual(reached, {part["bom-ref"] for part in parts})

    def test_the_filter_s_is_of_the_module_that_is_shipped(self):
        digest = hashlib.sha256(Path(os.environ["PORTCULLIS_WASM"]).read_bytes()).hexdigest()
        shipped = BILLS["portcullis-filter"]["metadata"]["component"]
        self.assertEqual(shipped["hashes"], [{"alg": "SHA-256", "content": digest}])


if __name__ == "__main__":
    unittest.main()
