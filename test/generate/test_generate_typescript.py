# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""The generated client in TypeScript: tsc --strict accepts it and its use, refuses misuse, and it works."""
import pathlib
import shutil
import tempfile

from devices import FakeDevice, lamp
from generated import HERE, OPTIONS, generate, run
from harness import BrokerTest, main
from lamps import with_progress
from own_javascript import NODE, PACKAGES, installed
from words import description_of_words

STRICT = ("--strict", "--noUncheckedIndexedAccess", "--exactOptionalPropertyTypes", "--noUnusedLocals",
          "--noUnusedParameters", "--noImplicitReturns", "--noImplicitOverride", "--erasableSyntaxOnly", "--isolatedModules",
          "--verbatimModuleSyntax")


def tsc(folder, *files):
    """As a program of this year is compiled, to JavaScript beside it."""
    return run(NODE, PACKAGES / "node_modules/.bin/tsc", *STRICT, "--target", "es2022", "--module", "nodenext", "--types", "node",
               "--typeRoots", PACKAGES / "node_modules/@types", *files, folder=folder)


class TypeScript(BrokerTest):

    def folder(self):
        folder = pathlib.Path(tempfile.mkdtemp(dir=installed().home))
        self.addCleanup(shutil.rmtree, folder)
        (folder / "package.json").write_text('{"type": "module", "private": true}')
        return folder

    def test_words_as_names(self):
        folder = self.folder()
        generate("typescript", folder, given=description_of_words(4))
        self.assertEqual(tsc(folder, "home.ts"), "")

    def test_use(self):
        folder = self.folder()
        broker = self.start(OPTIONS, lines=["set_tcp_nodelay true"])
        generate("typescript", folder, "-p", broker.port)
        shutil.copy(HERE / "use.ts", folder)
        self.assertEqual(tsc(folder, "home.ts", "use.ts"), "")
        device = with_progress(FakeDevice(self, broker, work=lamp).come(kind="lamp")).run()
        self.assertEqual(run(NODE, "use.js", broker.port, folder=folder).splitlines()[-1], "all is well")
        device.go()


if __name__ == "__main__":
    main()
