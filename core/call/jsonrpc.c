// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* JSON-RPC 2.0 requests: see jsonrpc.h. The rules are those of sections 4 to 6 of its specification. */
#include "call/jsonrpc.h"

#include "shape/json.h"

#include <math.h>
#include <string.h>

static bool jsonrpc_is_version_2(const cJSON *item)
{
    const cJSON *version = json_member(item, "jsonrpc");
    return version && cJSON_IsString(version) && strcmp(version->valuestring, "2.0") == 0;
}

bool jsonrpc_is_meant(const cJSON *tree)
{
    if (cJSON_IsArray(tree))
        tree = tree->child;
    return jsonrpc_is_version_2(tree);
}

static bool jsonrpc_is_id(const cJSON *id)
{
    if (cJSON_IsString(id))
        return strlen(id->valuestring) <= JSONRPC_ID_MAX;
    return (json_is_number(id) && isfinite(id->valuedouble)) || cJSON_IsNull(id);
}

struct jsonrpc_request jsonrpc_read(const cJSON *item)
{
    const cJSON *id = json_member(item, "id");
    const cJSON *method = json_member(item, "method");
    const cJSON *params = json_member(item, "params");
    const bool is_id = !id || jsonrpc_is_id(id);
    struct jsonrpc_request request = {.id = is_id ? id : NULL};
    if (!cJSON_IsObject(item)) {
        request.wrong = "is no object";
    } else if (!is_id) {
        request.wrong = "has an id that is too long, or no string, number or null";
    } else if (!jsonrpc_is_version_2(item)) {
        request.wrong = "has no member jsonrpc that is \"2.0\"";
    } else if (!cJSON_IsString(method)) {
        request.wrong = "has no member method that is a string";
    } else {
        request.method = method->valuestring;
        if (params && !cJSON_IsObject(params) && !cJSON_IsArray(params))
            request.wrong = "has params that are neither an object nor an array";
        else
            request.params = params;
    }
    return request;
}
