# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# shellcheck shell=sh
# Functions that call methods of mosquitto-rpc from a shell script, on mosquitto_rr 2.0 (Debian: mosquitto-clients):
#
#     . mosquitto_rpc.sh
#     rpc_call METHOD [PARAMS [OPTION of mosquitto_rr…]]       PARAMS: JSON, {} if it is left out
#     rpc_batch METHOD PARAMS [OPTION of mosquitto_rr…]        PARAMS: an array
#     rpc_events EVENT [OPTION of mosquitto_sub…]              a line for each event: its topic, and its data
#
# The result goes to standard output, an error to standard error. Exit status: 0, or 1 for an error that the plugin has
# answered with, 2 for wrong usage, 3 if there is no connection, 4 if no reply came in time.
#
# Environment: RPC_PREFIX (rpc), RPC_TIMEOUT (10, in whole seconds), RPC_CLIENT_ID (a random one for each call).
# mosquitto_rr reads more from ~/.config/mosquitto_rr: an option on each line, such as -h broker.example.
#
# A call has one identity. If its connection breaks it is sent again, with the same bytes, until its time is over: the
# plugin runs it once. It is also the last level of the reply's topic, {prefix}/reply/{client id}/{identity}, since
# mosquitto_rr takes whatever comes there for the reply.

rpc_call() {
    rpc_request call "$@"
}

rpc_batch() {
    rpc_request batch "$@"
}

rpc_events() (
    if [ $# -lt 1 ]; then
        echo "usage: rpc_events EVENT [OPTION of mosquitto_sub...]" >&2
        exit 2
    fi
    event=$1
    shift
    exec mosquitto_sub -q 1 -t "${RPC_PREFIX:-rpc}/event/$event" -F '%t %p' "$@"
)

rpc_random() {
    od -An -N "$1" -tx1 /dev/urandom | tr -d ' \n'
}

# The body is a subshell, so that its variables are its own.
rpc_request() (
    if [ $# -lt 2 ]; then
        echo "usage: rpc_$1 METHOD [PARAMS [OPTION of mosquitto_rr...]]" >&2
        exit 2
    fi
    prefix=${RPC_PREFIX:-rpc} timeout=${RPC_TIMEOUT:-10} topic=$1/$2 params='{}'
    client=${RPC_CLIENT_ID:-rpc-$(rpc_random 8)} identity=$(rpc_random 16)
    case $timeout in
    *[!0-9]* | 0* | ?????????*) # the arithmetic below would run it, take it for octal, or overflow
        echo "RPC_TIMEOUT must be whole seconds, and not $timeout" >&2
        exit 2
        ;;
    esac
    shift 2
    case ${1--h} in
    -[!0-9]*) ;; # an option
    *) params=$1 && shift ;;
    esac
    end=$(($(date +%s) + timeout + 1)) # the plugin ends the call itself, and that takes a moment
    status=4 said="no reply came: is the plugin loaded, and may I call?"
    while left=$((end - $(date +%s))) && [ "$left" -gt 0 ]; do
        # Its complaints may come between, before or after the two lines of a reply.
        printed=$(mosquitto_rr --nodelay -V 5 -q 1 -i "$client" -t "$prefix/$topic" -m "$params" \
            -e "$prefix/reply/$client/$identity" -D publish correlation-data "$identity" \
            -D publish user-property timeout-ms $((timeout * 1000)) -W "$left" -F ':P%P\n:R%p' "$@" 2>&1)
        code=$?
        case " $(printf '%s\n' "$printed" | sed -n 's/^:P//p') " in
        *" status:ok "*) printf '%s\n' "$printed" | sed -n 's/^:R//p' && exit 0 ;;
        *" status:"*) printf '%s\n' "$printed" | sed -n 's/^:R//p' >&2 && exit 1 ;;
        esac
        case $code in
        27) break ;; # no reply in time
        0 | 133 | 134 | 135 | 138) said=$printed status=3 && break ;; # the broker refuses
        127) said=$printed status=2 && break ;;
        esac
        case $printed in
        *"mosquitto_rr --help"*) said=$printed status=2 && break ;;
        esac
        said=$printed status=3
        sleep 0.2
    done
    printf '%s\n' "$said" >&2
    exit $status
)
