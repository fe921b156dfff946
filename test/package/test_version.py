# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""One version, that of project() in CMakeLists.txt: the changelog's newest release and the clients' packages have it, too."""
import json
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def found(path, pattern):
    return re.search(pattern, (ROOT / path).read_text(), re.MULTILINE)[1]


class Version(unittest.TestCase):

    def test_one_version(self):
        version = found("CMakeLists.txt", r"^project\(\S+ VERSION (\S+)")
        self.assertEqual(version, found("CHANGELOG.md", r"^## \[(\d\S*)\] - \d{4}-\d\d-\d\d$"))
        self.assertEqual(version, found("clients/python/mosquitto_rpc/_common.py", r'^__version__ = "(.*)"'))
        self.assertEqual(version, json.loads((ROOT / "clients/javascript/package.json").read_text())["version"])
        self.assertEqual(version, found("clients/arduino/library.properties", r"^version=(.*)$"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
