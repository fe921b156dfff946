"""The flow of examples/applications/node-red in Node-RED, without its editor."""
import json
import os
import urllib.request

from harness import ROOT, TIMEOUT, encode, free_port, main, payload_of
from recipe import RecipeTest, blocks

FLOW = ROOT / "examples/applications/node-red/flow.json"
SETTINGS = """module.exports = {
    uiHost: "127.0.0.1", uiPort: Number(process.env.PORT), disableEditor: true, httpAdminRoot: false,
    flowFile: "flows.json", credentialSecret: false, telemetry: { enabled: false }, mqttReconnectTime: 200
}
"""

# What uses the flow in the test: test/ask/{method} calls the method and answers on test/answer; POST /echo calls echo.
TAB = [
    {"id": "t", "type": "tab", "label": "test"},
    {"id": "t_ask", "type": "mqtt in", "z": "t", "topic": "test/ask/#", "qos": "2", "datatype": "json",
     "broker": "rpc_broker", "inputs": 0, "wires": [["t_take"]]},
    {"id": "t_take", "type": "function", "z": "t", "outputs": 1, "wires": [["t_call"]],
     "func": "return { topic: msg.topic.slice(9), payload: msg.payload.params, number: msg.payload.number }"},
    {"id": "t_call", "type": "link call", "z": "t", "links": ["rpc_in"], "linkType": "static", "timeout": "8",
     "wires": [["t_show"]]},
    {"id": "t_catch", "type": "catch", "z": "t", "scope": ["t_call"], "wires": [["t_caught"]]},
    {"id": "t_show", "type": "function", "z": "t", "outputs": 1, "wires": [["t_answer"]],
     "func": "return { payload: { number: msg.number, result: msg.payload, error: msg.error } }"},
    {"id": "t_caught", "type": "function", "z": "t", "outputs": 1, "wires": [["t_answer"]],
     "func": "return { payload: { number: msg.number, caught: msg.error.message } }"},
    {"id": "t_answer", "type": "mqtt out", "z": "t", "topic": "test/answer", "qos": "0", "broker": "rpc_broker",
     "wires": []},
    {"id": "h_in", "type": "http in", "z": "t", "url": "/echo", "method": "post", "wires": [["h_take"]]},
    {"id": "h_take", "type": "function", "z": "t", "outputs": 1, "wires": [["h_call"]],
     "func": "msg.topic = 'echo'; return msg"},
    {"id": "h_call", "type": "link call", "z": "t", "links": ["rpc_in"], "linkType": "static", "timeout": "8",
     "wires": [["h_out"]]},
    {"id": "h_out", "type": "http response", "z": "t", "wires": []},
]


class NodeRed(RecipeTest):

    def begin_flow(self, flow):
        for node in flow:
            if node["type"] == "mqtt-broker":
                self.assertEqual((node["broker"], node["port"]), ("localhost", "1883"))
                node.update(broker="127.0.0.1", port=str(self.wire.port))
        (self.folder / "flows.json").write_text(json.dumps(flow))
        (self.folder / "settings.js").write_text(SETTINGS)
        program = os.environ["RPC_NODE_RED_PACKAGES"] + "/node-red/red.js"
        self.port = free_port()
        running = self.begin(os.environ.get("RPC_NODE") or "node", program, "--userDir", self.folder,
                             PORT=str(self.port))
        running.wait_for("Connected to broker")
        return running

    def test_the_flow(self):
        running = self.begin_flow(json.loads(FLOW.read_text()))
        running.wait_for("[debug:result or error]")
        running.wait_for("[debug:event]")
        shown, = blocks("Node-RED", "text")
        self.assertIn(f"[debug:event] \n{shown}", running.output())
        self.assertIn(f"payload: {shown.strip()}", running.output())
        self.assertIn("error: null", running.output())

    def wait_for_subscription(self, times):
        """Node-RED says that it is connected before it has subscribed."""
        self.broker.wait_log("(?s)" + ".*".join([r"\ttest/ask/# \(QoS"] * times), timeout=60)

    def ask(self, client, number, method, params):
        client.publish(f"test/ask/{method}", encode({"number": number, "params": params}), qos=1)

    def test_more(self):
        self.begin_flow(json.loads(FLOW.read_text()) + TAB)
        self.wait_for_subscription(1)
        client = self.client(self.broker, timeout=30)
        client.subscribe("test/answer", qos=1)

        def answer_to(method, params):
            self.ask(client, method, method, params)
            answer = payload_of(client.receive())
            self.assertEqual(answer.pop("number"), method)
            return answer

        self.assertEqual(answer_to("echo", ["a", {"b": "ü"}]), {"result": ["a", {"b": "ü"}], "error": None})
        for number in range(300):
            self.ask(client, number, "echo", {"text": number})
        answers = [payload_of(client.receive()) for _ in range(300)]
        self.assertEqual(sorted(answer["number"] for answer in answers), list(range(300)))
        for answer in answers:
            self.assertEqual(answer["result"], {"text": answer["number"]}, answer)

        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/echo", b'{"over":"http"}',
                                         {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=6 * TIMEOUT) as answer:
            self.assertEqual(json.load(answer), {"over": "http"})

        trouble = answer_to("probe.raise", {"code": "probe_trouble", "with_data": True})
        self.assertEqual((trouble["result"], trouble["error"]["err"]), (None, "probe_trouble"))
        self.assertEqual(answer_to("probe.big", {"size": 140000})["error"]["err"], "reply_too_large")
        self.assertEqual(answer_to("slow.brief", {"ms": 60000, "polite": True})["error"]["err"], "timeout")
        self.assertEqual(answer_to("slow.sleep", {"ms": 300})["error"], None)

        for number in ("one", "two"):
            self.ask(client, number, "slow.sleep", {"ms": 60000, "polite": True})
        answer_to("ping", {})
        self.wire.cut()
        caught = [payload_of(client.receive()) for _ in range(2)]
        self.assertEqual({answer["number"] for answer in caught}, {"one", "two"})
        for answer in caught:
            self.assertEqual(answer["caught"], "timeout")
        self.wait_for_subscription(2)
        self.assertIsNone(answer_to("ping", {})["error"])


if __name__ == "__main__":
    main()
