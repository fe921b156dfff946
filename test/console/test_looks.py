"""How each room looks, and that everybody can use it: pictures for who changes it, and axe-core, which finds nothing."""
import unittest

from browser import KIND, ROOMS
from harness import main
from plant import RoomTest

SIZES = {"phone": (390, 844), "desk": (1280, 800), "projector": (1920, 1080)}
THEMES = "light", "dark"
CHECKED = ("light", "desk"), ("light", "phone"), ("dark", "desk")

# What each room shows once it has everything.
FILLED = {"methods": {"text": "updateSensor"}, "live": {"text": "sensor"}, "load": {"text": "updateSensor"},
          "devices": {"text": "lamp3"}, "workers": {"text": "w1"}, "trouble": {"text": "out_of_range"}}


class Looks(RoomTest):

    @unittest.skipUnless(KIND == "chromium", "the pictures are those of one browser")
    def test_pictures_and_accessibility(self):
        """A picture of each room in each theme and size; axe-core finds nothing in any of them."""
        self.plant.hang()
        found = []
        for theme in THEMES:
            self.open(self.broker, "methods", theme=theme)
            for room in ROOMS:
                self.page.go(room)
                self.page.wait(role="heading", name=room, exact=False)
                self.page.wait(patience=20, **FILLED[room])
                for size, (width, height) in SIZES.items():
                    self.page.tell("size", width=width, height=height)
                    self.page.run("new Promise(resolve => setTimeout(resolve, 150))")
                    self.picture(f"{room}-{theme}-{size}")
                    wide = self.page.run("document.documentElement.scrollWidth - innerWidth")
                    if wide > 0:
                        found.append(f"{room} {size}: {wide} px stand out at the right")
                    if (theme, size) in CHECKED:
                        found += [f"{room} {theme} {size}: {fault}" for fault in self.page.tell("check")]
                self.page.tell("size", width=1280, height=800)
        self.assertEqual(found, [], "\n".join(found))

    def test_a_broker_with_nothing_to_show(self):
        """Every room has a sentence where nothing is, and no fault."""
        broker = self.make(["sensor_db :memory:", "modules rpc clock echo"]).start()
        self.open(broker)
        for room in ROOMS:
            self.page.go(room)
            self.page.wait(role="heading", name=room)
            self.page.run("new Promise(resolve => setTimeout(resolve, 300))")
            self.picture(f"empty-{room}")
            if KIND == "chromium":
                self.assertEqual(self.page.tell("check"), [], room)

    def test_the_check_itself(self):
        """It finds what it should, in spite of the page's policy."""
        self.open(self.broker, "methods")
        self.page.run("document.querySelector('main').append(document.createElement('img'))")
        self.assertTrue(any(fault.startswith("image-alt") for fault in self.page.tell("check")))


if __name__ == "__main__":
    main()
