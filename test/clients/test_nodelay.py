"""The npm package mqtt, and what docs/clients.md says of its delays."""
import json
import re

from harness import ROOT, BrokerTest, main
from script import run


class NoDelay(BrokerTest):
    def test_the_line_of_the_page(self):
        """It reaches the connected socket, of the second connection as well."""
        line = re.search(r"^\| MQTT\.js.*?\| `([^`]+)`", (ROOT / "docs/clients.md").read_text(), re.MULTILINE).group(1)
        self.assertEqual(json.loads(run("nodelay.js", self.start().port, line)), [True, True])


if __name__ == "__main__":
    main()
