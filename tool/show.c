// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Times are printed with one unit, or with two where one would say too little. */
#include "show.h"

#include <math.h>
#include <stdio.h>
#include <time.h>

enum { SHOW_MINUTE = 60, SHOW_HOUR = 3600, SHOW_DAY = 86400 };

/* With three digits, however large the number is. */
static struct shown show_digits(double number, const char *unit)
{
    struct shown shown;
    const int decimals = number < 9.995 ? 2 : number < 99.95 ? 1 : 0;
    snprintf(shown.text, sizeof shown.text, "%.*f %s", decimals, number, unit);
    return shown;
}

struct shown show_duration(double seconds)
{
    struct shown shown = {"-"};
    if (!(fabs(seconds) < 1e12)) /* also what is no number */
        return shown;
    if (seconds < 0.0009995)
        return show_digits(seconds * 1e6, "us");
    if (seconds < 0.9995)
        return show_digits(seconds * 1e3, "ms");
    if (seconds < (double)SHOW_MINUTE)
        return show_digits(seconds, "s");
    const long long whole = (long long)seconds;
    if (whole < SHOW_HOUR)
        snprintf(shown.text, sizeof shown.text, "%lld min %lld s", whole / SHOW_MINUTE, whole % SHOW_MINUTE);
    else if (whole < SHOW_DAY)
        snprintf(shown.text, sizeof shown.text, "%lld h %lld min", whole / SHOW_HOUR,
                 whole % SHOW_HOUR / SHOW_MINUTE);
    else
        snprintf(shown.text, sizeof shown.text, "%lld d %lld h", whole / SHOW_DAY,
                 whole % SHOW_DAY / SHOW_HOUR);
    return shown;
}

struct shown show_age(double unix_time)
{
    struct shown shown = {"-"};
    struct timespec now;
    if (!(unix_time > 0))
        return shown;
    clock_gettime(CLOCK_REALTIME, &now);
    const double age = (double)now.tv_sec + (double)now.tv_nsec / 1e9 - unix_time;
    if (age >= (double)SHOW_MINUTE)
        return show_duration(age);
    snprintf(shown.text, sizeof shown.text, "%d s", age < 0 ? 0 : (int)age);
    return shown;
}

struct shown show_count(double count)
{
    struct shown shown = {"-"};
    if (fabs(count) < 1e18)
        snprintf(shown.text, sizeof shown.text, "%.0f", count);
    return shown;
}

double show_number(const cJSON *object, const char *name)
{
    const cJSON *const member = cJSON_GetObjectItemCaseSensitive(object, name);
    return cJSON_IsNumber(member) ? member->valuedouble : 0;
}

const char *show_string(const cJSON *object, const char *name)
{
    const char *const string = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    return string ? string : "";
}
