// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The sockets of the process: see sockets.h. */
#include "sockets.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

enum { SOCKETS_MAX = 1024 };

union socket_address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

static bool sockets_ask(int socket, int level, int option)
{
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(socket, level, option, &value, &size) == 0 && value;
}

/* 0: it is no socket of IP. */
static in_port_t sockets_own_port(int socket)
{
    union socket_address own = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof own;
    if (getsockname(socket, &own.any, &size) != 0)
        return 0;
    return own.any.sa_family == AF_INET    ? own.v4.sin_port
           : own.any.sa_family == AF_INET6 ? own.v6.sin6_port
                                           : 0;
}

static bool sockets_is_from(int socket, const char *address)
{
    union socket_address peer = {.any = {.sa_family = AF_UNSPEC}};
    socklen_t size = sizeof peer;
    char text[INET6_ADDRSTRLEN];
    if (getpeername(socket, &peer.any, &size) != 0)
        return false;
    const void *number = peer.any.sa_family == AF_INET ? (const void *)&peer.v4.sin_addr : &peer.v6.sin6_addr;
    return inet_ntop(peer.any.sa_family, number, text, sizeof text) && strcmp(text, address) == 0;
}

/* A connection that the process has made itself, such as a bridge, has a port on which nothing listens. */
static bool sockets_listen_at(in_port_t port)
{
    for (int socket = 0; socket < SOCKETS_MAX; socket++) {
        if (sockets_ask(socket, SOL_SOCKET, SO_ACCEPTCONN) && sockets_own_port(socket) == port)
            return true;
    }
    return false;
}

bool sockets_delay(const char *address)
{
    for (int socket = 0; socket < SOCKETS_MAX; socket++) {
        const in_port_t port = sockets_own_port(socket);
        if (port && sockets_is_from(socket, address) && !sockets_ask(socket, IPPROTO_TCP, TCP_NODELAY) &&
            sockets_listen_at(port))
            return true;
    }
    return false;
}
