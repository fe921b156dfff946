// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* plugin/sockets.c, on sockets of the test itself. */
#include "sockets.h"
#include "unit.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

static int listener, caller, accepted;

/* A connection from 127.0.0.1, or from ::1, which a listener of this process has accepted. */
static void connect_to_self(int family)
{
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *address = family == AF_INET6 ? (struct sockaddr *)&v6 : (struct sockaddr *)&v4;
    socklen_t size = family == AF_INET6 ? sizeof v6 : sizeof v4;
    listener = socket(family, SOCK_STREAM, 0);
    ck_assert_int_eq(bind(listener, address, size), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(getsockname(listener, address, &size), 0);
    caller = socket(family, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(caller, address, size), 0);
    accepted = accept(listener, NULL, NULL);
    ck_assert_int_ge(accepted, 0);
}

static void set_no_delay(int socket)
{
    const int on = 1;
    ck_assert_int_eq(setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
}

static void reset(void)
{
    listener = caller = accepted = -1;
}

static void close_all(void)
{
    close(accepted);
    close(caller);
    close(listener);
}

START_TEST(accepted_sockets_tell)
{
    ck_assert(!sockets_delay("127.0.0.1"));
    connect_to_self(AF_INET);
    ck_assert(sockets_delay("127.0.0.1"));
    ck_assert(!sockets_delay("127.0.0.2"));
    ck_assert(!sockets_delay(""));
    set_no_delay(accepted);
    ck_assert(!sockets_delay("127.0.0.1"));
}
END_TEST

/* The other end has no TCP_NODELAY, and a port on which nothing listens. */
START_TEST(own_connections_do_not_count)
{
    connect_to_self(AF_INET);
    set_no_delay(accepted);
    ck_assert(!sockets_delay("127.0.0.1"));
    close(listener);
    close(accepted);
    ck_assert(!sockets_delay("127.0.0.1"));
}
END_TEST

START_TEST(sockets_of_ipv6_tell)
{
    const int probe = socket(AF_INET6, SOCK_STREAM, 0);
    const struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    const bool has_ipv6 = probe >= 0 && bind(probe, (const struct sockaddr *)&loopback, sizeof loopback) == 0;
    close(probe);
    if (!has_ipv6)
        return;
    connect_to_self(AF_INET6);
    ck_assert(sockets_delay("::1"));
    set_no_delay(accepted);
    ck_assert(!sockets_delay("::1"));
}
END_TEST

UNIT_MAIN("sockets", reset, close_all, {accepted_sockets_tell, 0}, {own_connections_do_not_count, 0},
          {sockets_of_ipv6_tell, 0})
