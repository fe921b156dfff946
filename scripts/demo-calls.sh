# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The first part of scripts/demo: calls, events, errors, and devices. To be sourced by it.

# These two are shown by their names, with their definitions once, at the beginning.
rr() {
    mosquitto_rr -h 127.0.0.1 -p "$port" -V 5 -e my/replies -W 20 "$@"
}
pub() {
    mosquitto_pub -h 127.0.0.1 -p "$port" "$@"
}

# await FILE NUMBER: waits until the file has this number of lines, and prints the last one.
await() {
    for _ in $(seq 200); do
        # The process that writes the file may not have begun.
        [ ! -e "$directory/$1" ] || [ "$(wc -l <"$directory/$1")" -lt "$2" ] || {
            tail -n 1 "$directory/$1" | sed "s/^/    $1: /"
            return
        }
        sleep 0.1
    done
    echo "There is no line $2 of $1 after 20 seconds" >&2
    return 1
}

# await_state DEVICE STATE: waits until the plugin says that the device is in this state.
await_state() {
    for _ in $(seq 200); do
        rr -t rpc/call/device.status -m "{\"device\":\"$1\"}" | grep -q "\"state\":\"$2\"" && return
        sleep 0.1
    done
    echo "$1 is not $2 after 20 seconds" >&2
    return 1
}

# plug_in LAMP, unplug LAMP: starts a device of this name, or stops it.
plug_in() {
    printf '$ build/demo/lamp 127.0.0.1 %s %s &\n' "$port" "$1"
    "$folder/lamp" 127.0.0.1 "$port" "$1" >>"$directory/$1" &
    clients[$1]=$!
    await_state "$1" ready
}
unplug() {
    printf '$ kill %s\n' "${clients[$1]}"
    kill "${clients[$1]}"
    unset "clients[$1]"
    await_state "$1" offline
}

hints() {
    cat <<HINTS
  mosquitto_sub -h 127.0.0.1 -p $port -v -t 'rpc/event/#'
  mosquitto_rr -h 127.0.0.1 -p $port -V 5 -e my/replies -t rpc/call/ping -m '{}'
  mosquitto_rr -h 127.0.0.1 -p $port -V 5 -e my/replies -t rpc/call/updateSensor -m '{"sensor_id":"kitchen","value":70,"unit":"F"}'
  mosquitto_pub -h 127.0.0.1 -p $port -t rpc/call/ping -n
  build/demo/lamp 127.0.0.1 $port lamp1
  mosquitto_rr -h 127.0.0.1 -p $port -V 5 -e my/replies -t rpc/call/device/lamp1/light -m '{"on":true,"brightness":40}'
  mosquitto_sub -h 127.0.0.1 -p $port -v -t '\$SYS/broker/rpc/#'
HINTS
}

build mosquitto_rpc
build_lamp
build_console
write_configuration mosquitto_rpc.so "sensor_db $directory/sensors.db" "device_db $directory/devices.db"
start_broker

about "A broker with the plugin, and what the commands below stand for"
cat "$directory/mosquitto.conf"
echo "\$ rr() { mosquitto_rr -h 127.0.0.1 -p $port -V 5 -e my/replies -W 20 \"\$@\"; }"
echo "\$ pub() { mosquitto_pub -h 127.0.0.1 -p $port \"\$@\"; }"

# The retained message comes when the subscriptions are made.
pub -r -t demo/ready -m ready
echo "\$ mosquitto_sub -h 127.0.0.1 -p $port -v -t rpc/event/+ &"
mosquitto_sub -h 127.0.0.1 -p "$port" -v -t 'rpc/event/+' -t demo/ready >"$directory/event" &
clients[listener]=$!
await event 1 >/dev/null

about "rr publishes a call to rpc/call/{method} and waits for the reply"
show rr -t rpc/call/ping -m '{}'

about "A sensor reports a reading: the caller gets the reply, and subscribers get the event"
show rr -t rpc/call/updateSensor -m '{"sensor_id":"temp1","value":25.5}'
await event 2

about "The same from a device that wants no reply, such as an Arduino: the plugin only publishes the event"
show pub -V 311 -t rpc/call/updateSensor -m '{"sensor_id":"temp1","value":26.25}'
await event 3

about "An MQTT 3.1.1 client puts a request_id into its call"
show rr -V 311 -t rpc/call/getSensor -e rpc/call/getSensor/response/42 -m '{"request_id":"42","sensor_id":"temp1"}'

about "Errors: a parameter of the wrong type; a value that the handler refuses, whose caller wants no reply: an event"
show rr -t rpc/call/updateSensor -m '{"sensor_id":"temp1","value":"hot"}'
show pub -t rpc/call/updateSensor -m '{"sensor_id":"temp1","value":-300}'
await event 4

about "Two lamps say hello. Applications command them through the plugin"
plug_in lamp1
plug_in lamp2
show rr -t rpc/call/device/lamp1/light -m '{"on":true,"brightness":40}'
await lamp1 1

about "A lamp is unplugged: a command for it fails at once, unless it may wait on the disk"
unplug lamp1
show rr -t rpc/call/device/lamp1/light -m '{"on":false}'
show rr -t rpc/call/device/lamp1/light -m '{"on":true,"brightness":5}' -D publish user-property offline queue

about "A group: the call waits a second for the missing lamp, and has a verdict for each"
show rr -t rpc/call/device.group.set -m '{"group":"hall","devices":["lamp1","lamp2"]}'
show rr -t rpc/call/devices/hall/light -m '{"on":false}' -D publish user-property want all \
    -D publish user-property timeout-ms 1000
await lamp2 1

about "The lamp is back, and does what has waited"
plug_in lamp1
await lamp1 2

about "The broker is killed and started again: the readings that it answered are still there"
printf '$ kill -9 %s\n' "$broker"
{
    kill "${clients[@]}"
    kill -9 "$broker"
    wait "$broker" "${clients[@]}" || true
} 2>/dev/null # where bash says that it was killed
clients=()
start_broker
show rr -t rpc/call/sensorHistory -m '{"sensor_id":"temp1"}'
show rr -t rpc/call/forgetSensor -m '{"sensor_id":"temp1"}'

[ $stay = no ] || start_plant
wait_for_end
