"""The room Methods: a method is found, called with other parameters, and what comes is understood."""
import json
from urllib.parse import quote

from browser import ConsoleTest
from harness import main

# The document of the test's plugin is too large for one reply, so that the list is asked for in parts.
ACL = """user viewer
topic read rpc/reply/#
topic write rpc/call/rpc.discover
topic write rpc/call/rpc.list
topic write rpc/batch/rpc.describe
user blind
topic write rpc/call/ping
"""


class Methods(ConsoleTest):

    def setUp(self):
        super().setUp()
        self.broker = self.make().start()

    def visit(self, name, **params):
        place = f"methods/{quote(name, safe='')}" + (f"?params={quote(json.dumps(params))}" if params else "")
        self.open(self.broker, place)
        self.page.wait(role="heading", name=name)

    def json(self):
        return json.loads(self.page.run("[...document.querySelectorAll('.call textarea')].at(-1).value"))

    def write_json(self, text):
        self.page.run("""(() => { const area = [...document.querySelectorAll('.call textarea')].at(-1)
            area.value = %s; area.dispatchEvent(new Event('input', { bubbles: true })) })()""" % json.dumps(text))

    def test_a_call_by_form(self):
        """What is typed is in the JSON, a fault is told at its field, and nothing is called before the button is pressed."""
        self.visit("updateSensor")
        self.page.fill("attic", role="textbox", name="sensor_id")
        self.page.fill("1,5", role="textbox", name="value")
        self.page.wait(text="must be a number")
        self.page.click(role="button", name="Call, and change things")
        self.page.wait(role="button", name="Send it anyway")
        self.page.fill("21.5", role="textbox", name="value")
        self.page.gone(text="must be a number")
        self.assertEqual(self.json(), {"sensor_id": "attic", "value": 21.5})
        self.page.click(role="button", name="Call, and change things")
        self.page.wait(text="the reported temperature, in the unit of the call")

    def test_a_call_by_json_and_the_service_has_the_last_word(self):
        self.visit("getSensor", sensor_id="cellar")
        self.page.click(role="button", name="Call", exact=True)
        self.page.wait(text="no reading of this sensor has arrived")
        self.write_json('{"sensor_id":7}')
        self.page.wait(text="The form cannot show this JSON")
        self.page.click(role="button", name="Call", exact=True)
        self.page.click(role="button", name="Send it anyway")
        self.page.wait(text="The parameters do not fit the method")
        self.write_json('{"sensor_id":"roof"}')
        self.page.gone(text="The form cannot show this JSON")
        self.page.until("[...document.querySelectorAll('.call input')].some(({ value }) => value === 'roof')")

    def test_an_integer_beyond_a_double_comes_back_as_it_was(self):
        self.visit("echo")
        self.write_json('{"n":9007199254740993}')
        self.page.click(role="button", name="Call", exact=True)
        self.page.until("document.querySelector('.result pre')?.textContent.includes('9007199254740993')")

    def test_the_calls_of_the_tab_are_kept_and_copied(self):
        self.visit("echo", a="it's")
        self.page.click(role="button", name="Call", exact=True)
        self.page.until("document.querySelector('.result pre')")
        self.page.click(role="tab", name="Copy as")
        self.page.wait(text="""-m '{"a":"it'\\''s"}'""")
        self.page.run("location.reload()")
        self.page.wait(role="heading", name="echo", exact=True)
        self.page.click(role="tab", name="History")
        self.page.click(role="button", name="Repeat")
        self.page.until("document.querySelector('.result pre')")

    def test_a_batch(self):
        self.visit("getSensor", sensor_id="cellar")
        self.page.click(role="tab", name="Batch")
        for count in (1, 2):
            self.page.click(role="button", name="Add the form's parameters")
            self.page.wait(role="button", name=f"Send {count}")
        self.page.click(role="button", name="Send 2 calls")
        self.page.wait(role="row", name="unknown_sensor")
        self.page.click(role="button", name="Copy as")
        self.page.wait(text="-t rpc/batch/getSensor")
        self.page.wait(text="""-m '[{"sensor_id":"cellar"},{"sensor_id":"cellar"}]'""")
        for language, words in (("mosquitto_rpc", "--batch"), ("Python", '.call_batch("getSensor"'),
                                ("JavaScript", '.callBatch("getSensor"'), ("C", ".is_batch = true")):
            self.page.click(role="radio", name=language, exact=True)
            self.page.wait(text=words)
        self.page.click(role="radio", name="The call")
        self.page.wait(text='.method = "getSensor"')
        self.assertFalse(self.page.sees(text=".is_batch"))

    def test_from_the_last_failure_to_its_trouble(self):
        self.visit("getSensor", sensor_id="cellar")
        self.page.click(role="button", name="Call", exact=True)
        self.page.click(role="link", name="See it in Trouble")
        self.page.wait(role="row", name="getSensor")
        self.page.until("document.querySelector('.trouble-bar input').value === 'getSensor'")

    def test_no_such_method(self):
        self.open(self.broker, "methods/nothing/here")
        self.page.wait(text="There is no method nothing/here here.")


class Denied(ConsoleTest):

    def test_a_denied_method_and_a_denied_list(self):
        broker = self.make(users={"viewer": "one", "blind": "two"}, acl=ACL, anonymous=False).start()
        self.sign_in(broker, "viewer", "one", "methods/getTime")
        self.page.click(role="button", name="Call", exact=True)
        self.page.wait(text="does not let the user viewer publish to rpc/call/getTime")
        self.page.wait(text="closed to you")
        self.page.click(role="button", name="Sign out")
        self.sign_in(broker, "blind", "two")
        self.page.wait(text="You may not see the list of methods")
        self.page.fill("ping", role="textbox", name="Call a method by its name")
        self.page.click(role="button", name="Open")
        self.page.click(role="button", name="Call, and change things")
        self.page.until("document.querySelector('.result pre')?.textContent.includes('\"ok\": true')")


if __name__ == "__main__":
    main()
