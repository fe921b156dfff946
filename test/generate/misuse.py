"""Each line that ends with a mark is an error of types, and the others are none."""
from home import Home, LampBlinkProgress, UnknownSensorErrorData


async def misuse(home: Home, progress: LampBlinkProgress, details: UnknownSensorErrorData) -> None:
    await home.update_sensor("roof", 21.5)
    await home.update_sensor("roof")  # wrong
    await home.update_sensor("roof", "warm")  # wrong
    await home.update_sensor("roof", 21.5, unit="X")  # wrong
    await home.update_sensor("roof", 21.5, colour="red")  # wrong
    await home.update_sensors("roof", 21.5)  # wrong
    (await home.get_sensor("roof"))["value"].upper()  # wrong
    (await home.get_sensor("roof"))["colour"]  # wrong
    await home.lamp("lamp1").light("on")  # wrong
    await home.lamp("lamp1").blink(1, progress=print)
    await home.lamp("lamp1").blink(1, progress=lambda step: print(step["undone"]))  # wrong
    print(progress["done"], progress["undone"])  # wrong
    print(details["err"] == "unknown_sensor", details["errr"])  # wrong
    async for event in home.sensor_events():
        print(event.data["value"])  # wrong
    async for stored in home.sensor_updated_events():
        print(stored.data["value"], stored.data["colour"])  # wrong
