"""Pairs of brokers with a bridge between them, for tests: `near` opens it, or `far` does."""
from harness import BrokerTest

PROTOCOLS = ("mqttv311", "mqttv50")


class BridgeTest(BrokerTest):

    def bridge_lines(self, target, topics, protocol, port=None, notifications="false"):
        return ["connection link", f"address 127.0.0.1:{port or target.port}", "remote_clientid link-remote",
                "local_clientid link-local", f"notifications {notifications}", "restart_timeout 1",
                "cleansession true", f"bridge_protocol_version {protocol}", *(f"topic {topic}" for topic in topics)]

    def pair(self, topics, options=(), protocol="mqttv311", far_plugins=(), **how):
        """near, which opens a bridge to far."""
        far = self.start(plugins=list(far_plugins))
        near = self.start(options, lines=self.bridge_lines(far, topics, protocol), **how)
        far.wait_log("Sending (SUBACK|CONNACK) to link-remote")
        if any(" in" in topic or " both" in topic for topic in topics):
            near.wait_log("SUBACK")
        return near, far
