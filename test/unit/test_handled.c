// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* A host is told when a message whose client has a mark has been handled (core/host.h). */
#include "unit.h"
#include "works.h"

static struct rig rig;
static const char mark;

static void open_marked(void)
{
    works_init(&rig);
    works_open(&rig);
    rig.client.mark = &mark;
}

static void close_marked(void)
{
    works_close(&rig);
}

static void expect(size_t count)
{
    ck_assert_uint_eq(rig.host.handled, count);
    ck_assert_ptr_eq(rig.host.handled_mark, count ? &mark : NULL);
}

/* Whether or not it wants a reply, and whatever comes of it. */
START_TEST(at_once)
{
    static const struct {
        const char *topic, *payload, *response_topic;
    } rows[] = {
        {"rpc/call/none.such", "{}", "r"}, {"rpc/call/none.such", "{}", NULL},
        {"rpc/call/work", "{broken", "r"}, {"rpc/call/work", "[]", NULL},
        {"rpc/batch/work", "[]", "r"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        works_send(&rig, rows[i].topic, rows[i].payload, rows[i].response_topic, NULL);
        expect(i + 1);
    }
}
END_TEST

START_TEST(when_it_is_answered)
{
    works_send(&rig, "rpc/call/wait.firm", "{\"n\":1}", "r", "an identity of 16");
    expect(0);
    rpc_resume(works_slots[1].call);
    ck_assert_uint_eq(rig.host.replies.count, 1);
    expect(1);
}
END_TEST

START_TEST(without_a_mark_it_is_not_told)
{
    rig.client.mark = NULL;
    works_send(&rig, "rpc/call/none.such", "{}", "r", NULL);
    expect(0);
}
END_TEST

UNIT_MAIN("handled", open_marked, close_marked, {at_once, 0}, {when_it_is_answered, 0},
          {without_a_mark_it_is_not_told, 0})
