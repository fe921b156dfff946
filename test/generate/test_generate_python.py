# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The generated client in Python: mypy --strict accepts it and its use, refuses misuse, and it works."""
import pathlib
import re
import shutil
import sys

from devices import FakeDevice, lamp
from generated import HERE, OPTIONS, generate, new_folder, run
from harness import ROOT, BrokerTest, main
from lamps import with_progress
from words import description_of_words

PACKAGE = str(ROOT / "clients/python")


def mypy(folder, *files, status=0):
    return run(sys.executable, "-m", "mypy", "--strict", "--python-version", "3.9", "--cache-dir", folder / "cache",
               "--follow-imports=silent", "--no-error-summary", *files, folder=folder, status=status, MYPYPATH=PACKAGE)


class Python(BrokerTest):

    def setUp(self):
        super().setUp()
        self.folder = new_folder(self)
        self.broker = self.start(OPTIONS, lines=["set_tcp_nodelay true"])

    def test_use(self):
        generate("python", self.folder, "-p", self.broker.port)
        shutil.copy(HERE / "use.py", self.folder)
        self.assertEqual(mypy(self.folder, "home.py", "use.py"), "")
        device = with_progress(FakeDevice(self, self.broker, work=lamp).come(kind="lamp")).run()
        said = run(sys.executable, "use.py", self.broker.port, folder=self.folder, PYTHONPATH=PACKAGE,
                   PYTHONDONTWRITEBYTECODE="1")
        self.assertEqual(said.splitlines()[-1], "all is well")
        device.go()

    def test_words_as_names(self):
        generate("python", self.folder, given=description_of_words(4))
        self.assertEqual(mypy(self.folder, "home.py"), "")

    def test_misuse(self):
        generate("python", self.folder, "-p", self.broker.port)
        source = pathlib.Path(shutil.copy(HERE / "misuse.py", self.folder))
        wrong = {number for number, line in enumerate(source.read_text().splitlines(), 1) if line.endswith("# wrong")}
        found = re.findall(r"^misuse\.py:(\d+): error", mypy(self.folder, "misuse.py", status=1), re.M)
        self.assertEqual(set(map(int, found)), wrong)


if __name__ == "__main__":
    main()
