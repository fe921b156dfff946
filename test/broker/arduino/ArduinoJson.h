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

// Whether there was no memory for the document that is being read.
inline bool &json_is_full()
{
    static bool full;
    return full;
}

inline void *json_allocate(size_t size)
{
    void *block = json_allocator()->allocate(size);
    json_is_full() |= !block;
    return block;
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
    bool isUnbound() const
    {
        return !item;
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

template <> inline float JsonVariantConst::as<float>() const
{
    return cJSON_IsNumber(item) ? (float)item->valuedouble : 0;
}

// A member of an object: reads like any value, and can be set.
class JsonMember : public JsonVariantConst
{
  public:
    JsonMember(cJSON *&owner, const char *member)
        : JsonVariantConst(JsonVariantConst(owner)[member]), object(owner), name(member)
    {
    }
    void operator=(const char *text)
    {
        set(cJSON_CreateString(text));
    }
    void operator=(float value)
    {
        set(cJSON_CreateNumber(value));
    }

  private:
    void set(cJSON *value)
    {
        object = object ? object : cJSON_CreateObject();
        if (!object || !value || !cJSON_AddItemToObject(object, name, value))
            cJSON_Delete(value);
    }

    cJSON *&object;
    const char *name;
};

class JsonDocument
{
  public:
    explicit JsonDocument(ArduinoJson::Allocator *allocator)
    {
        json_allocator() = allocator;
        cJSON_Hooks hooks = {json_allocate, [](void *block) { json_allocator()->deallocate(block); }};
        cJSON_InitHooks(&hooks);
    }
    JsonDocument(const JsonDocument &) = delete;
    ~JsonDocument()
    {
        cJSON_Delete(root);
    }
    JsonMember operator[](const char *name)
    {
        return JsonMember(root, name);
    }
    operator JsonVariantConst() const
    {
        return root;
    }

    cJSON *root = nullptr;
};

class DeserializationError
{
  public:
    enum Code { Ok, EmptyInput, IncompleteInput, InvalidInput, NoMemory, TooDeep };

    DeserializationError(Code code) : reason(code)
    {
    }
    explicit operator bool() const
    {
        return reason != Ok;
    }
    friend bool operator==(const DeserializationError &error, Code code)
    {
        return error.reason == code;
    }

  private:
    Code reason;
};

inline DeserializationError deserializeJson(JsonDocument &document, const unsigned char *bytes, size_t size)
{
    json_is_full() = false;
    document.root = cJSON_ParseWithLength((const char *)bytes, size);
    return document.root    ? DeserializationError::Ok
           : json_is_full() ? DeserializationError::NoMemory
                            : DeserializationError::InvalidInput;
}

inline size_t serializeJson(JsonVariantConst value, char *text, size_t size)
{
    cJSON null = {};
    null.type = cJSON_NULL;
    cJSON *item = const_cast<cJSON *>(value.item ? value.item : &null);
    return cJSON_PrintPreallocated(item, text, (int)size, false) ? strlen(text) : size;
}

template <size_t SIZE> size_t serializeJson(JsonVariantConst value, char (&text)[SIZE])
{
    return serializeJson(value, text, SIZE);
}

inline size_t measureJson(JsonVariantConst value)
{
    char text[1024];
    return serializeJson(value, text);
}

#endif
