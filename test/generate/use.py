"""What a program does with the generated client: every kind of call, error and event, and the types of all. PORT"""
import asyncio
import sys
from typing import Any, List

from home import DeviceUnknownError, Home, LampBlinkProgress, UnknownSensorError
from mosquitto_rpc import Client, RpcError


async def use_sensors(home: Home) -> None:
    async with home.sensor_events("roof") as events:
        stored = await home.update_sensor("roof", 21.5, unit="C", timeout=20)
        assert stored["ok"] is True and stored["value"] == 21.5
        event = await events.__anext__()
        assert event.data is not None and event.data["value"] == 21.5 and event.event.topic == "rpc/event/sensor/roof"
    reading = await home.get_sensor("roof")
    assert (reading["sensor_id"], reading["value"], reading["unit"]) == ("roof", 21.5, "C")
    try:
        await home.get_sensor("cellar")
        raise AssertionError("there is no cellar")
    except UnknownSensorError as error:
        assert error.details["err"] == "unknown_sensor" and error.details["method"] == "getSensor"
    page = await home.list_sensors(limit=1)
    assert [sensor["sensor_id"] for sensor in page["sensors"]] == ["roof"] and page["next"] is None
    try:
        await home.update_sensor("roof", 21.5, timeout=20, unit="X")  # type: ignore[arg-type]
        raise AssertionError("there is no unit X")
    except RpcError as refused:
        assert type(refused) is RpcError and refused.err == "invalid_params"


async def use_lamp(home: Home) -> None:
    progress: List[LampBlinkProgress] = []
    lamp = home.lamp("lamp1")
    lit = await lamp.light(True, brightness=30)
    assert lit["on"] is True and lit["brightness"] == 30
    assert (await lamp.blink(2, interval=20, progress=progress.append))["times"] == 2
    assert progress == [{"done": 1, "times": 2}]
    try:
        await home.lamp("nobody").get_status()
        raise AssertionError("there is no such lamp")
    except DeviceUnknownError as error:
        assert error.details.get("device") == "nobody"


async def use_shapes(home: Home) -> None:
    value: Any = await home.echo([1, "two", None])
    assert value == [1, "two", None]
    assert (await home.probe_bytes(b"\x00\x01\x02"))["size"] == 3
    size = await home.room_box_box_size("attic", "b1", b"12345")
    assert size["bytes"] == 5 and size["box"] == "b1"
    inners = await home.shapes_value([{"number": 7}, {}])
    assert inners[0]["number"] == 7
    nothing = await home.shapes_null(None, None, None, None, None, None, None, None)
    assert nothing["truth"] is None and nothing["list"] is None
    full = await home.shapes_null(True, -3, 9007199254740993, "abc", "\"huge\"", {"a": 1}, {"number": None}, ["small"],
                                  number=0.5, other="small", inners=[{}])
    assert full["small"] == -3 and full["large"] == 9007199254740993 and full["text"] == "abc"
    assert full["size"] == "\"huge\"" and full["list"] == ["small"] and full["any"] == {"a": 1}
    for level in ("", "a/b", "+", "#"):
        try:
            await home.room_box_box_size("attic", level, b"")
            raise AssertionError("no level")
        except ValueError:
            pass


async def main() -> None:
    async with Client("127.0.0.1", int(sys.argv[1])) as client:
        home = Home(client)
        assert "echo" in [entry["name"] for entry in (await home.rpc_list())["methods"]]
        await use_sensors(home)
        await use_lamp(home)
        await use_shapes(home)
    print("all is well")


asyncio.run(main())
