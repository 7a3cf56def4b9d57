"""Reads documents as one of Python's parsers does, and says what they mean. See README.md for how it is asked.

    python parse.py json|orjson|pydantic_core|msgspec
"""

import struct
import sys


def decoder(name):
    if name == "json":
        import json

        # As servers do that are given bytes: the encoding is guessed.
        return json.loads
    if name == "orjson":
        import orjson

        return orjson.loads
    if name == "msgspec":
        import msgspec

        return msgspec.json.decode
    if name == "pydantic_core":
        import pydantic_core

        return pydantic_core.from_json
    raise SystemExit(f"no parser is called {name}")


def text(value):
    return "s" + value.encode("utf-8", "surrogatepass").hex()


def number(value):
    # Adding zero makes one of the two zeros.
    return "d" + struct.pack(">d", float(value) + 0.0).hex()


def canonical(value):
    if value is None:
        return "n"
    if value is True:
        return "t"
    if value is False:
        return "f"
    if isinstance(value, str):
        return text(value)
    if isinstance(value, (int, float)):
        return number(value)
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    members = sorted(f"{text(key)}:{canonical(member)}" for key, member in value.items())
    return "{" + ",".join(members) + "}"


def member(value, key):
    return value.get(key, ABSENT) if isinstance(value, dict) else ABSENT


ABSENT = object()


def shown(value):
    return "-" if value is ABSENT else canonical(value)


def reading(parse, document):
    try:
        root = parse(document)
        params = member(root, "params")
        parts = [member(root, "method"), *(member(params, key) for key in ("name", "uri", "arguments")), root]
        return " ".join(map(shown, parts))
    except (ValueError, RecursionError, OverflowError):
        return "refused"


def main():
    parse = decoder(sys.argv[1])
    sys.setrecursionlimit(10_000)
    questions, answers = sys.stdin.buffer, sys.stdout
    while head := questions.read(4):
        length = int.from_bytes(head, "big")
        if length == 0:
            answers.flush()
            continue
        answers.write(reading(parse, questions.read(length)) + "\n")


main()
