# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# The second part of scripts/demo: workers, which carry out the calls of a slow method. To be sourced by it.

# The command-line tool, shown by its name.
rpc() {
    "$folder/tool/mosquitto_rpc" -p "$port" --json "$@"
}

# start_worker NAME: starts a worker, and waits until the plugin has it.
start_worker() {
    printf '$ build/demo/reports_worker --attach --broker 127.0.0.1:%s --user worker --name %s --workers 4 --window 4 &\n' \
        "$port" "$1"
    "$folder/reports_worker" --attach --broker "127.0.0.1:$port" --user worker --name "$1" --workers 4 --window 4 \
        >>"$directory/worker-$1" 2>&1 &
    clients[$1]=$!
    for _ in $(seq 200); do
        ! rpc call rpc.workers | grep -q "\"id\":\"$1\"" || return 0
        sleep 0.05
    done
    echo "The worker $1 is not there after 10 seconds:" >&2
    cat "$directory/worker-$1" >&2
    return 1
}

# number NAME: the number of this member in the JSON that is read.
number() {
    sed -n "s/.*\"$1\":\([0-9.]*\).*/\1/p"
}

# measure NAME: makes calls for two seconds, and keeps how many a second were answered.
measure() {
    show rpc bench makeReport number=7 --concurrency 16 --duration 2 >"$directory/$1"
    head -n 1 "$directory/$1"
    number per_second <"$directory/$1" | awk '{ printf "    %.0f reports a second\n", $1 }'
}

hints() {
    cat <<HINTS
  build/demo/tool/mosquitto_rpc -p $port call rpc.workers
  build/demo/tool/mosquitto_rpc -p $port call makeReport number=1
  build/demo/tool/mosquitto_rpc -p $port bench makeReport number=1 --concurrency 16
  build/demo/reports_worker --attach --broker 127.0.0.1:$port --user worker
HINTS
}

# With --stay, the plugin also has what the simulated plant calls.
plugin=reports options=("workers_users worker")
if [ $stay = yes ]; then
    plugin=reports_and_shipped options+=("sensor_db $directory/sensors.db" "device_db $directory/devices.db")
fi
build $plugin reports_worker rpc_tool
[ $stay = no ] || build_lamp
build_console
write_configuration $plugin.so "${options[@]}"
start_broker

about "A broker with a plugin whose method makeReport takes 50 ms, and is carried out by workers"
cat "$directory/mosquitto.conf"
echo "\$ rpc() { build/demo/tool/mosquitto_rpc -p $port --json \"\$@\"; }"

about "A worker: a process of its own, here or on another machine, with four threads"
start_worker one
show rpc call makeReport number=1
measure one

about "A second worker. Callers and the broker are not told"
start_worker two
measure two
ratio=$(awk -v one="$(number per_second <"$directory/one")" -v two="$(number per_second <"$directory/two")" \
    'BEGIN { printf "%.2f", two / one }')
echo "    $ratio times as many"

about "400 calls, and the first worker is killed in the middle: what it had goes to the other one"
show rpc bench makeReport number=7 --concurrency 16 --count 400 >"$directory/killed" &
clients[bench]=$!
sleep 1
printf '$ kill -9 %s\n' "${clients[one]}"
{
    kill -9 "${clients[one]}"
    wait "${clients[one]}" || true
} 2>/dev/null # where bash says that it was killed
unset "clients[one]"
wait "${clients[bench]}"
unset "clients[bench]"
cat "$directory/killed"
answered=$(number ok <"$directory/killed")
echo "    $answered of 400 calls have their result"
show rpc call rpc.workers

about "A worker that is told to stop finishes its calls, and leaves"
printf '$ kill %s\n' "${clients[two]}"
kill "${clients[two]}"
wait "${clients[two]}"
unset "clients[two]"

least=1.6
[ -z "${RPC_DEMO_BUILT:-}" ] || least=0 # where others are busy at the same time
awk -v ratio="$ratio" -v least=$least -v answered="$answered" 'BEGIN { exit !(ratio >= least && answered == 400) }' || {
    echo "There should be 1.6 times as many reports with two workers, and 400 results" >&2
    exit 1
}
if [ $stay = yes ]; then
    about "Two workers for the plant below"
    start_worker one
    start_worker two
    start_plant --reports
fi
wait_for_end workers
