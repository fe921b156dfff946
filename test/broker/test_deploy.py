"""Follows docs/deploy.md as an operator would: does the steps of each section as they stand, and then tries what the
section says of the broker that it has made."""
import json
import re
import unittest

from harness import ROOT, BrokerTest, ask, eventually, main, payload_of, result_of
from machine import Machine
from mqtt import NOT_AUTHORIZED, RESPONSE_TOPIC, Closed
from pages import section

PAGE = (ROOT / "docs/deploy.md").read_text()


def part(heading):
    return section(PAGE, heading)


class DeployTest(BrokerTest):
    def machine(self, hosts=None):
        machine = Machine(hosts)
        self.addCleanup(machine.clean_up)
        self.addCleanup(machine.stop)
        self.addCleanup(self._show_log, machine)
        return machine

    def after(self, *headings):
        """A machine on which all steps of these sections are done."""
        machine = self.machine()
        for heading in headings:
            machine.follow(part(heading))
        return machine

    def user(self, machine, name, version=5, **how):
        return self.client(machine, version, username=name, password=machine.password(name), **how)


class Users(DeployTest):
    def setUp(self):
        self.broker = self.machine()
        text = part("## A user for each device")
        self.broker.follow(text[:text.index("### Users who come and go")])

    def test_no_warning_but_the_one_that_the_page_names(self):
        warnings = re.findall(r"Warning: (.*)|Error: (.*)", self.broker.log())
        self.assertTrue(all("does not contain" in first for first, _ in warnings), warnings)

    def test_users_who_come_and_go(self):
        gone, stays = self.user(self.broker, "lamp2"), self.user(self.broker, "panel")
        self.broker.follow(part("### Users who come and go"))
        with self.assertRaises((Closed, AssertionError)):
            self.user(self.broker, "lamp2")
        with self.assertRaises(Closed):
            while True:
                gone.receive()
        self.assertIn("ok", result_of(ask(stays, "ping", topic="rpc/reply/panel/1")))
