"""What docs/clients.md says of settings of clients: those against delays, and of many calls at once."""
import os
import re
import shutil
import subprocess
import unittest

from harness import ROOT, BrokerTest, broker_version, main, new_identity
from mqtt import CORRELATION_DATA, PUBACK, PUBREC, RESPONSE_TOPIC
from pages import rows, run, section

PAGE = (ROOT / "docs/clients.md").read_text()
DELAYS = {name: how for name, how in rows(section(PAGE, "## Calls without delay"))}
PAHO = os.environ.get("RPC_PAHO_PYTHON")
QUOTA_EXCEEDED = 151

PYTHON = """
import socket, sys
import paho.mqtt.client as mqtt
versions = [mqtt.CallbackAPIVersion.VERSION2] if hasattr(mqtt, "CallbackAPIVersion") else []
client = mqtt.Client(*versions)
{line}
client.connect("127.0.0.1", int(sys.argv[1]))
print("set", client.socket().getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
client.disconnect()
"""

C = """
#include <mosquitto.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
int main(int argc, char **argv)
{{
    mosquitto_lib_init();
    struct mosquitto *mosq = mosquitto_new(NULL, true, NULL);
    {line};
    if (argc != 2 || mosquitto_connect(mosq, "127.0.0.1", atoi(argv[1]), 60)) return 1;
    int on = 0;
    socklen_t size = sizeof on;
    getsockopt(mosquitto_socket(mosq), IPPROTO_TCP, TCP_NODELAY, &on, &size);
    printf("set %d\\n", on);
    return 0;
}}
"""


def line_of(client):
    [how] = [how for name, how in DELAYS.items() if name.startswith(client)]
    return re.search(r"`([^`]+)`", how).group(1)


class Delays(BrokerTest):
    def program(self, text, line, name):
        path = self.broker.directory / name
        path.write_text(text.format(line=line))
        return path

    def setUp(self):
        self.broker = self.start()

    @unittest.skipUnless(PAHO, "there is no paho-mqtt")
    def test_paho(self):
        for line, value in ((line_of("paho-mqtt"), 1), ("", 0)):
            program = self.program(PYTHON, line, "client.py")
            self.assertEqual(run(f"'{PAHO}' '{program}' {self.broker.port}"), f"set {value}\n")

    @unittest.skipUnless(shutil.which("cc"), "there is no cc")
    def test_libmosquitto(self):
        for line, value in ((line_of("libmosquitto"), 1), ("", 0)):
            program = self.program(C, line, "client.c")
            subprocess.run(["cc", str(program), "-o", str(program.with_suffix("")), "-lmosquitto"], check=True, timeout=60)
            self.assertEqual(run(f"'{program.with_suffix('')}' {self.broker.port}"), f"set {value}\n")

    def test_the_tools(self):
        for tool in ("mosquitto_pub", "mosquitto_sub", "mosquitto_rr"):
            self.assertIn(line_of("mosquitto_pub"), run(f"{tool} --help"))
        call = f"mosquitto_rr {line_of('mosquitto_pub')} -h 127.0.0.1 -p {self.broker.port} -W 10"
        self.assertIn('"ok":true', run(f"{call} -V 5 -q 1 -t rpc/call/ping -e r -n"))


class ManyCalls(BrokerTest):
    @unittest.skipIf(broker_version() in ((2, 1, 0), (2, 0, 15)), "this broker closes the connection, or takes all")
    def test_quota(self):
        """The calls that are over it are answered all the same, and each cure ends it."""
        for lines, qos, at_once, refused in (([], 2, 60, True), (["max_inflight_messages 1000"], 2, 60, False),
                                             ([], 2, 20, False), ([], 1, 60, False)):
            with self.subTest(lines=lines, qos=qos, at_once=at_once):
                client = self.client(self.start(lines=lines), 5)
                codes, replies = self.exchange(client, 60, qos, at_once)
                self.assertEqual(replies, 60)
                self.assertEqual(QUOTA_EXCEEDED in codes, refused)

    def exchange(self, client, count, qos, at_once):
        """Makes calls, at most so many at once, and finishes each one's handshake when all of the round were sent.
        Returns the reason codes of their acknowledgements, and how many replies came."""
        codes = []
        for _ in range(0, count, at_once):
            mids = [self.call(client, qos) for _ in range(at_once)]
            for mid in mids:
                codes.append(client.wait_ack(PUBACK if qos == 1 else PUBREC, mid).reason)
            for mid, code in zip(mids, codes[-at_once:]):
                if qos == 2 and code < 0x80:
                    client.release(mid)
        client.ping()
        while len(client.inbox) < count:
            client.handle(client.read())
        return codes, len(client.inbox)

    def call(self, client, qos):
        client.publish("rpc/call/ping", qos=qos, wait=False, properties=[
            (RESPONSE_TOPIC, "r"), (CORRELATION_DATA, new_identity().encode())])
        return client.last_mid


if __name__ == "__main__":
    main()
