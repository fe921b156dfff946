// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
/* JSON-RPC 2.0 requests: see jsonrpc.h. The rules are those of sections 4 to 6 of its specification. */
#include "call/jsonrpc.h"

#include "shape/json.h"

#include <math.h>
#include <string.h>

static bool is_version_2(const cJSON *item)
{
    const cJSON *version = json_member(item, "jsonrpc");
    return cJSON_IsString(version) && strcmp(version->valuestring, "2.0") == 0;
}

bool jsonrpc_is_meant(const cJSON *tree)
{
    if (cJSON_IsArray(tree))
        tree = tree->child;
    return cJSON_IsObject(tree) && is_version_2(tree);
}

static bool is_id(const cJSON *id)
{
    if (cJSON_IsString(id))
        return strlen(id->valuestring) <= JSONRPC_ID_MAX;
    return (json_is_number(id) && isfinite(id->valuedouble)) || cJSON_IsNull(id);
}

/* Returns what is wrong with the request, or NULL. */
static const char *read_members(const cJSON *item, struct jsonrpc_request *request)
{
    const cJSON *id = json_member(item, "id");
    const cJSON *method = json_member(item, "method");
    const cJSON *params = json_member(item, "params");
    if (id && !is_id(id))
        return "has an id that is too long, or no string, number or null";
    request->id = id;
    if (!is_version_2(item))
        return "has no member jsonrpc that is \"2.0\"";
    if (!cJSON_IsString(method))
        return "has no member method that is a string";
    request->method = method->valuestring;
    if (params && !cJSON_IsObject(params) && !cJSON_IsArray(params))
        return "has params that are neither an object nor an array";
    request->params = params;
    return NULL;
}

struct jsonrpc_request jsonrpc_read(const cJSON *item)
{
    struct jsonrpc_request request = {.wrong = "is no object"};
    if (cJSON_IsObject(item))
        request.wrong = read_members(item, &request);
    return request;
}
