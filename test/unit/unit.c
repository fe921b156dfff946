// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A list of tests as a program: see unit.h. */
#include "unit.h"

#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LEAKS_ARE_FOUND
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define LEAKS_ARE_FOUND
#endif

#ifdef LEAKS_ARE_FOUND
#include <sanitizer/lsan_interface.h>
void unit_ignore_leaks(void)
{
    __lsan_disable();
}
#else
void unit_ignore_leaks(void)
{
}
#endif

enum { SECONDS = 900 }; /* for one test, sanitizers and a busy machine included */

static void add(TCase *tests, const struct unit_test *test)
{
    if (test->rows)
        tcase_add_loop_test(tests, test->test, 0, test->rows);
    else
        tcase_add_test(tests, test->test);
}

int unit_run(const char *name, const struct unit_test *tests, size_t count, SFun setup, SFun teardown)
{
    Suite *suite = suite_create(name);
    TCase *group = tcase_create(name);
    tcase_set_timeout(group, SECONDS);
    if (setup || teardown)
        tcase_add_checked_fixture(group, setup, teardown);
    for (size_t i = 0; i < count; i++)
        add(group, &tests[i]);
    suite_add_tcase(suite, group);

    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    const int run = srunner_ntests_run(runner);
    srunner_free(runner);
    return run && !failed ? EXIT_SUCCESS : EXIT_FAILURE;
}
