# SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
# Completion of mosquitto_rpc for bash. The program itself knows what can follow: commands and options, and from the
# broker that the command line names methods and their parameters, events, devices and their commands.
_mosquitto_rpc() {
    local program=$1
    case $program in
    '~/'*) program=$HOME/${program#'~/'} ;; # as it was typed
    esac
    # $2 is the part of the word that bash replaces: what stands behind its last = or :
    mapfile -t COMPREPLY < <("$program" complete -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null)
    case ${COMPREPLY[0]} in
    :files) COMPREPLY=() && compopt -o default ;;
    *[=/]) compopt -o nospace ;;
    esac
}
complete -F _mosquitto_rpc mosquitto_rpc
