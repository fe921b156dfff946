// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Makes a program of a list of tests. Check runs each test in a process of its own. */
#ifndef UNIT_H
#define UNIT_H

#include <check.h>
#include <stddef.h>

/* One test. rows: it runs for each row of a table, with the row's number in _i; 0: once. */
struct unit_test {
    const TTest *test;
    int rows;
};

#define UNIT_ROWS(table) ((int)(sizeof(table) / sizeof((table)[0])))

/* Runs the tests, each between setup and teardown (NULL: none). Returns the program's exit code. */
int unit_run(const char *name, const struct unit_test *tests, size_t count, SFun setup, SFun teardown);

/* Switches the leak sanitizer off for the rest of this test, if the build has one. */
void unit_ignore_leaks(void);

/* The program: UNIT_MAIN("name", setup, teardown, {test, rows}, ...) */
#define UNIT_MAIN(name, setup, teardown, ...)                                          \
    int main(void)                                                                     \
    {                                                                                  \
        const struct unit_test tests[] = {__VA_ARGS__};                                \
        return unit_run(name, tests, sizeof tests / sizeof tests[0], setup, teardown); \
    }

#endif
