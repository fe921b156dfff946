// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What the sketches of examples/ use of ArduinoJson 7, on cJSON. All memory comes from the document's
// allocator.
#ifndef ARDUINO_JSON_H
#define ARDUINO_JSON_H

#include <cjson/cJSON.h>
#include <limits.h>
#include <string.h>

namespace ArduinoJson
{
class Allocator
{
  public:
    virtual void *allocate(size_t size) = 0;
    virtual void deallocate(void *block) = 0;
    virtual void *reallocate(void *block, size_t size) = 0;
};
} // namespace ArduinoJson

// cJSON's functions for memory have no argument that says whose it is.
inline ArduinoJson::Allocator *&json_allocator()
{
    static ArduinoJson::Allocator *allocator;
    return allocator;
}

class JsonVariantConst
{
  public:
    JsonVariantConst(const cJSON *given = nullptr) : item(given)
    {
    }
    JsonVariantConst operator[](const char *name) const
    {
        return cJSON_IsObject(item) ? cJSON_GetObjectItemCaseSensitive(item, name) : nullptr;
    }
    bool isNull() const
    {
        return !item || cJSON_IsNull(item);
    }
    template <typename T> bool is() const;
    template <typename T> T as() const;
    template <typename T> operator T() const
    {
        return as<T>();
    }
    const char *operator|(const char *absent) const
    {
        return cJSON_IsString(item) ? item->valuestring : absent;
    }

    const cJSON *item;
};
typedef JsonVariantConst JsonObjectConst;

template <> inline bool JsonVariantConst::is<bool>() const
{
    return cJSON_IsBool(item);
}

template <> inline bool JsonVariantConst::is<int>() const
{
    return cJSON_IsNumber(item) && item->valuedouble >= INT_MIN && item->valuedouble <= INT_MAX &&
           item->valuedouble == (int)item->valuedouble;
}

template <> inline bool JsonVariantConst::as<bool>() const
{
    return cJSON_IsTrue(item);
}

template <> inline int JsonVariantConst::as<int>() const
{
    return is<int>() ? (int)item->valuedouble : 0;
}

class JsonDocument
{
  public:
    explicit JsonDocument(ArduinoJson::Allocator *allocator)
    {
        json_allocator() = allocator;
        cJSON_Hooks hooks = {[](size_t size) { return json_allocator()->allocate(size); },
                             [](void *block) { json_allocator()->deallocate(block); }};
        cJSON_InitHooks(&hooks);
    }
    JsonDocument(const JsonDocument &) = delete;
    ~JsonDocument()
    {
        cJSON_Delete(root);
    }
    JsonVariantConst operator[](const char *name) const
    {
        return JsonVariantConst(root)[name];
    }

    cJSON *root = nullptr;
};

class DeserializationError
{
  public:
    explicit DeserializationError(bool whether) : failed(whether)
    {
    }
    explicit operator bool() const
    {
        return failed;
    }

  private:
    bool failed;
};

inline DeserializationError deserializeJson(JsonDocument &document, const unsigned char *bytes, size_t size)
{
    document.root = cJSON_ParseWithLength((const char *)bytes, size);
    return DeserializationError(!document.root);
}

template <size_t SIZE> size_t serializeJson(JsonVariantConst value, char (&text)[SIZE])
{
    cJSON null = {};
    null.type = cJSON_NULL;
    cJSON *item = const_cast<cJSON *>(value.item ? value.item : &null);
    return cJSON_PrintPreallocated(item, text, SIZE, false) ? strlen(text) : SIZE;
}

inline size_t measureJson(JsonVariantConst value)
{
    char text[1024];
    return serializeJson(value, text);
}

#endif
