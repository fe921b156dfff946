# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
"""Calls methods of the Mosquitto plugin mosquitto_rpc, commands devices and follows events, over paho-mqtt 1.6 or 2.

    async with mosquitto_rpc.Client("localhost") as client:
        await client.call("updateSensor", sensor_id="cellar", value=12.5, timeout=5)

mosquitto_rpc.sync.Client is the same for programs without asyncio.
"""
from ._client import Client, Device, Events, Group
from ._common import Event, Progress, RpcError, __version__

__all__ = ["Client", "Device", "Event", "Events", "Group", "Progress", "RpcError", "__version__"]
