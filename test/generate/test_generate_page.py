# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The commands and the programs of docs/generate.md."""
import os
import pathlib
import shutil
import sys

from generated import C_FLAGS, COMPILERS, LIBRARIES, TOOL, new_folder, run
from harness import PLUGIN, ROOT, BrokerTest, main
from pages import PORT, blocks

TEXT = (ROOT / "docs/generate.md").read_text()
SHOWN = "21.5 C\nno reading of this sensor has arrived\n"


class Page(BrokerTest):

    def setUp(self):
        super().setUp()
        self.folder = new_folder(self)
        self.port = self.start(["sensor_db :memory:"], plugin=PLUGIN).port
        tools = self.folder / "bin"
        tools.mkdir()
        shutil.copy(TOOL, tools / "mosquitto_rpc")
        for line in self.block("sh").splitlines():
            run("sh", "-ec", line, folder=self.folder, PATH=f"{tools}:{os.environ['PATH']}")

    def block(self, language):
        """The only block of a language, for this test's broker."""
        block, = blocks(TEXT, language)
        self.assertIn(str(PORT), block)
        return block.replace(str(PORT), str(self.port))

    def test_python(self):
        (self.folder / "roof.py").write_text(self.block("python"))
        package = {"PYTHONPATH": str(ROOT / "clients/python"), "MYPYPATH": str(ROOT / "clients/python"),
                   "PYTHONDONTWRITEBYTECODE": "1"}
        run(sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "--cache-dir", "cache", "roof.py", "home.py",
            folder=self.folder, **package)
        self.assertEqual(run(sys.executable, "roof.py", folder=self.folder, **package), SHOWN)

    def test_typescript(self):
        if not os.environ.get("RPC_OWN_JAVASCRIPT"):
            self.skipTest("there is no npm")
        from test_generate_typescript import installed, tsc, NODE
        home = pathlib.Path(installed().home)
        (home / "package.json").write_text('{"type": "module", "private": true}')
        shutil.copy(self.folder / "home.ts", home)
        (home / "roof.ts").write_text(self.block("ts"))
        self.assertEqual(tsc(home, "roof.ts"), "")
        self.assertEqual(run(NODE, "roof.js", folder=home), SHOWN)

    def test_c(self):
        (self.folder / "roof.c").write_text(self.block("c"))
        run(COMPILERS[-1], *C_FLAGS, "roof.c", "home.c", *LIBRARIES, "-o", "roof", folder=self.folder)
        self.assertEqual(run("./roof", folder=self.folder), SHOWN)


if __name__ == "__main__":
    main()
