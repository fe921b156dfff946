// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* Values into a buffer: see writer.h. */
#include "shape/writer.h"

void writer_tree(struct writer *writer, const cJSON *item)
{
    if (cJSON_IsString(item)) {
        writer_string(writer, item->valuestring);
    } else if (cJSON_IsRaw(item)) {
        writer_json(writer, item->valuestring);
    } else if (cJSON_IsNumber(item)) {
        writer_double(writer, item->valuedouble);
    } else if (cJSON_IsArray(item) || cJSON_IsObject(item)) {
        const bool is_object = cJSON_IsObject(item);
        writer->codec->begin(writer, is_object);
        for (const cJSON *child = item->child; child; child = child->next) {
            if (is_object)
                writer_name(writer, child->string);
            writer_tree(writer, child);
        }
        writer->codec->end(writer, is_object);
    } else if (cJSON_IsBool(item)) {
        writer_bool(writer, cJSON_IsTrue(item));
    } else {
        writer_null(writer);
    }
}
