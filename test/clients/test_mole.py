"""The npm package mole-rpc over mole-rpc-transport-mqtt, at {prefix}/jsonrpc, with its own test suite."""
from harness import BrokerTest, main
from script import run

SLOW_ENOUGH = ("mole_pause 1100ms", "slow_call 0")  # the suite's clients wait for a second


class Mole(BrokerTest):

    def test_its_own_suite(self):
        broker = self.start(["jsonrpc_methods *", *SLOW_ENOUGH])
        self.assertIn("Autotests finished.", run("mole.js", broker.port, "rpc"))

    def test_another_prefix_and_some_methods(self):
        methods = ("__ping__ syncFunctionPrimitiveDataNoArgs syncFunctionPrimitiveData functionReturnsUndefined "
                   "syncFunctionComplexData asyncFunctionPrimitiveData asyncFunctionComplexData "
                   "asyncFunctionLongRunning asyncFunctionRejectsWithPrimitiveData "
                   "asyncFunctionRejectsWithComplexData asyncFunctionThrowsError asyncFunctionThrowsString")
        broker = self.start(["prefix rpc site/two", f"jsonrpc_methods {methods}", *SLOW_ENOUGH])
        self.assertIn("Autotests finished.", run("mole.js", broker.port, "site/two"))


if __name__ == "__main__":
    main()
