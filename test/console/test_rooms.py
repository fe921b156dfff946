"""Each room: what a person finds and does there."""
from browser import ConsoleTest
from harness import main
from plant import Plant, RoomTest

def faults_of_fields(page):
    """The names of the fields that are marked, with what is said about each."""
    return dict(page.run("""[...document.querySelectorAll("[aria-invalid=true]")].map(field => [field.labels[0].innerText.split(/\\s/)[0],
        field.getAttribute("aria-describedby").split(" ").map(id => document.getElementById(id)?.innerText).join(" ")])"""))


class Methods(RoomTest):

    def test_a_call_by_form(self):
        page = self.page
        self.open(self.broker)
        page.fill("update sensor", role="textbox", name="Search")
        page.click(role="link", name="updateSensor")
        page.fill("porch", role="textbox", name="sensor_id")
        page.fill("7.5", role="textbox", name="value")
        page.click(role="button", name="Call, and change things")
        page.wait(text='"ok": true')
        self.assertEqual(self.plant.call("getSensor", {"sensor_id": "porch"})["value"], 7.5)
        page.click(role="tab", name="History")
        page.wait(text="porch")
        self.picture("methods-called")

    def test_a_fault_is_shown_at_its_field(self):
        page = self.page
        self.open(self.broker, "methods/updateSensor")
        page.fill("x" * 65, role="textbox", name="sensor_id")
        page.click(role="button", name="Call, and change things")
        page.wait(text="is required")
        faults = faults_of_fields(page)
        self.assertEqual(sorted(faults), ["sensor_id", "value"])
        self.assertIn("64", faults["sensor_id"])
        self.assertIn("is required", faults["value"])
        self.assertFalse(page.sees(text='"ok": true'))

    def test_what_the_service_finds_is_shown_at_its_field(self):
        page = self.page
        self.open(self.broker, "methods/updateSensor")
        page.fill('{"sensor_id":"a","value":1,"valeu":2}', role="textbox", name="JSON")
        if page.sees(role="button", name="Send it anyway"):
            page.click(role="button", name="Send it anyway")
        else:
            page.click(role="button", name="Call, and change things")
            page.run("new Promise(resolve => setTimeout(resolve, 300))")
            if page.sees(role="button", name="Send it anyway"):
                page.click(role="button", name="Send it anyway")
        page.wait(text="The parameters do not fit the method")
        page.wait(text="valeu")

    def test_a_link_has_the_parameters(self):
        self.open(self.broker, "methods/echo?params=%7B%22a%22%3A12345678901234567890%7D")
        self.page.click(role="button", name="Call", exact=True)
        self.page.wait(role="status", text="Result")
        self.page.wait(text='"a": 12345678901234567890')


class Rights(ConsoleTest):

    def test_a_denied_call_is_explained(self):
        acl = "user viewer\ntopic write rpc/call/rpc.discover\n"
        broker = self.make(users={"viewer": "two"}, acl=acl, anonymous=False, options=[*Plant.OPTIONS]).start()
        self.sign_in(broker, "viewer", "two", "methods/ping")
        self.page.click(role="button", name="Call", exact=True)
        self.page.wait(text="The broker does not let the user viewer publish to rpc/call/ping.")
        self.page.wait(text="topic write rpc/call/ping")
        self.picture("methods-denied")


class OnCall(RoomTest):
    """What a person does who is called at night, and has not read anything."""

    def test_the_walk(self):
        page = self.page
        self.open(self.broker)
        page.click(role="link", name="Trouble")
        page.click(role="row", text="out_of_range")
        page.wait(text="-500 C is below absolute zero")
        page.click(role="link", name="Call it with other parameters")
        page.fill("roof", role="textbox", name="sensor_id")
        page.fill("20", role="textbox", name="value")
        page.click(role="button", name="Call, and change things")
        page.wait(text='"ok": true')
        page.click(role="link", name="Devices")
        self.assertIn("lamp3", page.wait(role="row", text="Offline")["text"])
        page.click(role="tab", name="Groups")
        page.click(role="row", name="hall")
        page.wait(role="combobox", name="Command")
        page.choose("light", role="combobox", name="Command")
        page.click(role="button", name="Send to")
        page.wait(text="is required")
        page.until("document.activeElement.labels?.[0]?.innerText === 'true'")  # the first control with a fault
        page.click(role="radio", name="true")
        page.click(role="button", name="Send to")
        page.wait(text="2 of 3")
        self.picture("group-commanded")

    def test_the_keyboard_alone(self):
        """From the start of the page to the result of a call, without a mouse."""
        page = self.page
        self.open(self.broker, "methods/echo")
        page.wait(role="button", name="Call", exact=True)

        def go_to(what, key="Tab", most=60):
            for _ in range(most):
                page.press(key)
                if what(page.focused()):
                    return
            self.fail(f"no key leads there: {page.focused()}")
        go_to(lambda one: "Skip to the content" in one["text"], most=3)
        page.press("Enter")
        go_to(lambda one: one["tag"] == "textarea", most=150)
        page.type('{"by":"keys"}')
        go_to(lambda one: one["text"].strip() == "Call")
        page.press("Enter")
        page.wait(text='"by": "keys"')


class Live(RoomTest):

    def test_an_event_is_seen_filtered_and_drawn(self):
        self.visit("live")
        self.page.wait(role="row", name="hall")  # it is retained: the broker has the subscription
        self.plant.call("updateSensor", {"sensor_id": "attic", "value": 31})
        self.page.click(role="row", name="sensorUpdated")
        self.page.wait(text="rpc/event/sensorUpdated")
        self.page.click(role="button", name="value")
        self.page.wait(role="img", name="value of the event sensorUpdated over time")
        self.page.fill("nothing like this", role="textbox", name="Text in the payload")
        self.page.wait(text="No event matches the filter")
        self.page.click(role="button", name="Remove the filter")
        self.page.wait(role="row", name="attic")

    def test_links_of_other_rooms_filter(self):
        self.open(self.broker, "live?event=sensor")
        self.page.wait(role="row", name="hall")
        self.assertEqual(self.page.run("document.querySelector('.live-filters select').value"), "sensor")
        self.page.go("live?text=nothing%20like%20this")
        self.page.wait(text="No event matches the filter")

    def test_pause(self):
        self.visit("live")
        self.page.wait(role="row", name="hall")
        self.page.click(role="button", name="Pause")
        self.plant.call("updateSensor", {"sensor_id": "attic", "value": 31})
        self.page.wait(text="Paused: ")
        self.assertFalse(self.page.sees(role="row", name="attic"))
        self.page.click(role="button", name="Resume")
        self.page.wait(role="row", name="attic")


class Load(RoomTest):

    def test_methods_are_counted(self):
        self.visit("load")
        self.page.wait(role="row", name="updateSensor", patience=20)
        for _ in range(30):
            self.plant.call("echo", 1)
        self.page.wait(role="row", name="echo", patience=20)


class Devices(RoomTest):

    def test_the_device_that_is_gone_is_found_and_the_others_commanded(self):
        self.visit("devices")
        row = self.page.wait(role="row", text="Offline")["text"]
        self.assertIn("lamp3", row)
        self.page.click(role="row", name="lamp1")
        self.page.wait(role="heading", name="lamp1")
        self.picture("device")
        self.page.go("devices/groups/*")
        self.page.wait(role="heading", name="All devices")
        self.page.until("document.querySelector('tbody tr')?.innerText.startsWith('lamp3')")  # the one that is gone

    def test_a_device_is_commanded(self):
        self.open(self.broker, "devices/device/lamp1")
        self.page.wait(role="combobox", name="Command")
        self.page.choose("light", role="combobox", name="Command")
        self.page.fill('{"on":true,"brightness":40}', role="textbox", name="Parameters")
        self.page.click(role="button", name="Send")
        self.page.wait(text='"brightness": 40')
        self.picture("device-commanded")


class Workers(RoomTest):

    def test_who_is_attached(self):
        self.visit("workers")
        self.page.click(role="row", name="w1")
        self.page.wait(text="text.count")

    def test_methods_come_and_go_with_workers(self):
        """Without a reload; what a person has typed stays as it was typed."""
        page = self.page
        self.open(self.broker, "methods/text.count")
        page.click(role="tab", name="About")
        page.fill("some words", role="textbox", name="text")
        self.assertFalse(page.sees(text="text.turn"))
        self.plant.worker("w2", "text.turn")
        page.wait(role="link", name="text.turn")
        third = self.plant.worker("w3")
        page.wait(text="w1, w3")
        third.close()
        page.gone(text="w1, w3", patience=40)
        self.assertEqual(page.find(role="textbox", name="text")[0]["value"], "some words")


class Trouble(RoomTest):

    def test_what_failed_was_slow_and_hangs(self):
        self.plant.hang()
        self.visit("trouble")
        self.page.wait(text="updateSensor")
        self.page.wait(text="out_of_range")
        self.page.click(role="tab", name="Slow")
        self.page.wait(text="slow.sleep")
        self.page.click(role="tab", name="Open")
        self.page.wait(text="slow.sleep")


if __name__ == "__main__":
    main()
