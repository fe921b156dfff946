// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* The module valve, without a broker. */
#include <mosquitto_rpc_testing.h>

int main(void)
{
    rpc_test *test = rpc_test_open("valve_longest 2m");

    rpc_test_expect(test, "openValve", "{\"seconds\":121}", "too_long", NULL);
    rpc_test_expect(test, "openValve", "{\"seconds\":120}", "ok", "{\"until\":1700000120.25}");
    rpc_test_expect_event(test, "valveOpened", NULL);
    rpc_test_pass(test, 119999);
    rpc_test_expect_no_event(test, "valveClosed");
    rpc_test_pass(test, 1);
    rpc_test_expect_event(test, "valveClosed", "{\"time\":1700000120.25}");
    return rpc_test_close(test);
}
