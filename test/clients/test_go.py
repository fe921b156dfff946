"""The recipe of docs/recipes.md in Go, with Debian's packages and without the internet."""
import os
import shutil

from harness import TIMEOUT, main
from recipe import HERE, RecipeTest, blocks

GOPATH = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOTOOLCHAIN": "local", "GOFLAGS": ""}


class Go(RecipeTest):

    def build(self, page_main):
        """Builds the page's functions with its own main, or with edges.go; returns the program."""
        functions, main_function = blocks("Go", "go")
        self.write("rpc.go", functions)
        if page_main:
            self.write("main.go", main_function)
        else:
            shutil.copy(HERE / "recipes" / "edges.go", self.folder)
        cache = os.environ.get("GOCACHE") or str(self.folder / "cache")
        self.complete(os.environ["RPC_GO"], "build", "-o", "program", ".", **GOPATH, GOCACHE=cache)
        return self.folder / "program"

    def test_the_page(self):
        self.assertEqual(blocks("Go", "text"), [self.complete(self.build(page_main=True))])

    def test_more(self):
        running = self.begin(self.build(page_main=False), f"127.0.0.1:{self.wire.port}")
        running.wait_for("cut\n")
        self.wire.cut()
        running.wait_for("all is well\n")
        self.assertEqual(running.process.wait(TIMEOUT), 0)


if __name__ == "__main__":
    main()
