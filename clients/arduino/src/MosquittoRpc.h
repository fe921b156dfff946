// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Calls methods of mosquitto-rpc from an Arduino, with PubSubClient 2.8 and ArduinoJson 7.
//
// Include this header before ArduinoJson.h. ../README.md shows its use and says how much RAM it needs. It
// takes nothing from the heap.
//
// A call that is cut off is sent again, byte for byte, when the connection is back: the plugin runs it once.
// One call can be pending at a time.
//
// Threads: everything is called from setup() and loop(), and so are the functions that are given to it.
// Ownership: the object borrows the PubSubClient and the text of the prefix. What a handler is given is valid
// until the handler returns.
// Failure: call() hands every failure to the call's handler, with the names of the errors that the plugin
// has.
#ifndef MOSQUITTO_RPC_H
#define MOSQUITTO_RPC_H

#ifndef ARDUINOJSON_POOL_CAPACITY
#define ARDUINOJSON_POOL_CAPACITY 16 // values for which ArduinoJson takes memory at once
#endif
#include <ArduinoJson.h>
#include <PubSubClient.h>

// Memory for one ArduinoJson document at a time, which is not the heap. Blocks lie one behind the other;
// clear() frees all of them. Only the last block can grow where it is. When it is full, ArduinoJson reports
// NoMemory.
template <size_t SIZE> class Scratch : public ArduinoJson::Allocator
{
  public:
    void clear()
    {
        used = 0;
    }

    void *allocate(size_t size) override
    {
        size_t units = units_of(size);
        if (size > SIZE || units >= COUNT - used)
            return nullptr;
        Unit *block = memory + used;
        block->units = units;
        used += 1 + units;
        return block + 1;
    }

    void deallocate(void *) override
    {
    }

    void *reallocate(void *old, size_t size) override
    {
        if (!old)
            return allocate(size);
        size_t units = static_cast<Unit *>(old)[-1].units, end = used;
        bool last = static_cast<Unit *>(old) + units == memory + used;
        if (!last && units_of(size) <= units)
            return old;
        if (last)
            used -= 1 + units;
        void *block = allocate(size);
        if (!block)
            used = end;
        else if (block != old)
            memcpy(block, old, units * sizeof(Unit));
        return block;
    }

  private:
    // What memory is counted in, and what stands before each block: its size.
    union Unit {
        size_t units;
        double aligned;
    };
    static const size_t COUNT = SIZE / sizeof(Unit);

    static size_t units_of(size_t size)
    {
        return size / sizeof(Unit) + (size % sizeof(Unit) != 0);
    }

    Unit memory[COUNT];
    size_t used = 0;
};

// What became of a call. It is valid until the handler that it was given to returns.
struct RpcReply {
    const char *err; // nullptr: the method has succeeded; else the name of the error, such as invalid_params
    const char *msg; // what is wrong, for people
    JsonVariantConst result;
    JsonVariantConst error; // the whole error object; empty if the error did not come from the plugin

    explicit operator bool() const
    {
        return !err;
    }
};

// CALL: bytes for the topic of a call and its payload, which is some 80 bytes longer than the parameters.
// MEMORY: bytes for a document, that of a reply or that of the parameters.
template <size_t CALL = 256, size_t MEMORY = 192 * sizeof(void *)> class MosquittoRpc : public Stream
{
  public:
    typedef bool (*Connect)();
    typedef void (*Handler)(const RpcReply &reply);
    typedef void (*Receiver)(char *topic, uint8_t *payload, unsigned int size);

    // There is one object, and it has the PubSubClient's callback and stream for itself. The text of the
    // prefix is not copied.
    explicit MosquittoRpc(PubSubClient &client, const char *topics = "rpc") : mqtt(client), prefix(topics)
    {
    }

    // function  connects with mqtt.connect() and subscribes; says whether it is connected now. loop() calls
    //           it when the connection is lost, at most every `wait` ms; the sketch itself does not connect
    // others    gets all messages that are no replies. One that does not fit PubSubClient's buffer is lost
    void begin(Connect function, Receiver others = nullptr, unsigned long wait = 3000)
    {
        self() = this;
        connect = function;
        receiver = others;
        pause = wait;
        tried = millis() - pause;
        mqtt.setCallback(receive);
        mqtt.setStream(*this);
    }

    // To be called from the sketch's loop() in place of mqtt.loop(). Handlers are called from here.
    void loop()
    {
        received = 0;
        if (!mqtt.loop() && millis() - tried >= pause)
            connect_again();
        if (pending && millis() - begun > timeout && millis() - begun - timeout > GRACE)
            fail("timeout", "no reply came in time");
    }

    // Calls a method. The handler is called exactly once, from loop() or, if the call cannot be made, from
    // here:
    //
    // overloaded           another call is pending
    // invalid_params       the parameters are not a JSON object
    // payload_too_large    topic and payload do not fit CALL bytes, or the topic does not fit PubSubClient's
    // buffer timeout              no reply came within `milliseconds`, or a second later if the plugin has
    // not said so reply_too_large      the reply did not fit PubSubClient's buffer, or MEMORY; the method has
    // run
    // bad_reply            what came as the reply is none
    // and whatever the plugin answers.
    //
    // While the connection is lost the call waits for it.
    void call(const char *method, const char *params, Handler on_reply, unsigned long milliseconds = 10000)
    {
        if (!may_begin(on_reply))
            return;
        size_t size = strlen(params);
        if (!write_head(method, milliseconds) || length + size >= CALL)
            return refuse("payload_too_large", "the call does not fit the buffer of MosquittoRpc", on_reply);
        memcpy(bytes + length, params, size + 1);
        start(size, on_reply, milliseconds);
    }

    // The same with a document as parameters, for which memory() is there.
    void call(const char *method, JsonVariantConst params, Handler on_reply,
              unsigned long milliseconds = 10000)
    {
        if (!may_begin(on_reply))
            return;
        size_t size = measureJson(params);
        if (!write_head(method, milliseconds) || length + size >= CALL)
            return refuse("payload_too_large", "the call does not fit the buffer of MosquittoRpc", on_reply);
        serializeJson(params, bytes + length, CALL - length);
        start(size, on_reply, milliseconds);
    }

    // Forgets the pending call: its handler is not called. The plugin may carry it out all the same.
    void cancel()
    {
        pending = false;
    }

    bool isPending() const
    {
        return pending;
    }

    // Memory for a document of parameters: JsonDocument params(rpc.memory()). The document is gone with the
    // next loop(); there is one at a time.
    ArduinoJson::Allocator *memory()
    {
        if (!delivering)
            scratch.clear();
        return &scratch;
    }

    // PubSubClient writes the payload of each message here, whether or not it fits its buffer.
    size_t write(uint8_t) override
    {
        received++;
        return 1;
    }

    int available() override
    {
        return 0;
    }

    int read() override
    {
        return -1;
    }

    int peek() override
    {
        return -1;
    }

    void flush()
    {
    }

  private:
    static const size_t ID = 32;             // hexadecimal digits
    static const unsigned long GRACE = 1000; // ms: the plugin ends the call itself, and that takes a moment
    static const size_t AROUND = 5 + 2 + 10; // of a reply's topic: MQTT's headers, and /response/

    PubSubClient &mqtt;
    const char *prefix;
    Connect connect = nullptr;
    Receiver receiver = nullptr;
    Handler handler = nullptr;
    unsigned long pause = 0, tried = 0, begun = 0, timeout = 0;
    size_t payload = 0, length = 0; // where in `bytes` the payload begins, and where what was written ends
    size_t received = 0;            // bytes of the payload that PubSubClient is reading
    bool pending = false, delivering = false;
    char bytes[CALL]; // the topic, 0, the payload, 0
    Scratch<MEMORY> scratch;

    // PubSubClient's callback has no argument that says whose it is.
    static MosquittoRpc *&self()
    {
        static MosquittoRpc *only;
        return only;
    }

    void connect_again()
    {
        if (connect() && pending && millis() - begun < timeout)
            send();
        tried = millis();
    }

    // Sends the call, piece by piece: it may be larger than PubSubClient's buffer. If that fails the
    // connection is lost, and it is sent again on the next one.
    void send()
    {
        size_t size = length - payload;
        if (!mqtt.beginPublish(bytes, (unsigned int)size, false) ||
            mqtt.write((const uint8_t *)bytes + payload, size) != size || !mqtt.endPublish())
            mqtt.disconnect();
    }

    bool may_begin(Handler on_reply)
    {
        if (pending)
            refuse("overloaded", "another call is pending", on_reply);
        return !pending;
    }

    void refuse(const char *err, const char *msg, Handler on_reply)
    {
        RpcReply reply = {err, msg, JsonVariantConst(), JsonVariantConst()};
        on_reply(reply);
    }

    // Writes everything that stands before the parameters. False: there is no room for it.
    bool write_head(const char *method, unsigned long milliseconds)
    {
        char id[ID + 1];
        for (size_t at = 0; at < ID; at += 4)
            snprintf(id + at, 5, "%04lx", ((unsigned long)random(0x10000) ^ micros()) & 0xFFFF);
        int size = snprintf(bytes, CALL, "%s/call/%s", prefix, method);
        if (size < 0 || (size_t)size + 1 >= CALL || (size_t)size + AROUND + ID > mqtt.getBufferSize())
            return false;
        payload = (size_t)size + 1;
        size = snprintf(bytes + payload, CALL - payload, "{\"request_id\":\"%s\",\"timeout_ms\":%lu", id,
                        milliseconds);
        length = payload + (size_t)size;
        return size > 0 && length < CALL;
    }

    const char *id() const
    {
        return bytes + payload + strlen("{\"request_id\":\"");
    }

    // Joins the object of parameters, which stands behind the head, with the head.
    void start(size_t size, Handler on_reply, unsigned long milliseconds)
    {
        char *params = bytes + length;
        while (size > 0 && is_blank(params[size - 1]))
            size--;
        size_t first = 0;
        while (first < size && is_blank(params[first]))
            first++;
        if (size < first + 2 || params[first] != '{' || params[size - 1] != '}')
            return refuse("invalid_params", "the parameters are not an object", on_reply);
        while (first + 1 < size && is_blank(params[first + 1]))
            first++;
        size -= first;
        memmove(params, params + first, size);
        params[0] = ',';
        if (size == 2)
            params[0] = params[--size];
        params[size] = 0;
        length += size;
        handler = on_reply;
        timeout = milliseconds;
        begun = millis();
        pending = true;
        if (mqtt.connected())
            send();
    }

    static bool is_blank(char c)
    {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
    }

    static void receive(char *topic, uint8_t *content, unsigned int size)
    {
        self()->dispatch(topic, content, size);
    }

    void dispatch(char *topic, uint8_t *content, unsigned int size)
    {
        bool whole = received == size;
        received = 0;
        if (is_of_the_call(topic))
            return whole ? deliver(content, size)
                         : fail("reply_too_large",
                                "the reply does not fit PubSubClient's buffer: setBufferSize()");
        if (whole && receiver && !is_reply(topic))
            receiver(topic, content, size);
    }

    bool is_of_the_call(const char *topic) const
    {
        size_t size = strlen(topic);
        return pending && size > ID && topic[size - ID - 1] == '/' &&
               memcmp(topic + size - ID, id(), ID) == 0;
    }

    // Also of a call that is no longer pending.
    bool is_reply(const char *topic) const
    {
        size_t size = strlen(prefix);
        return strncmp(topic, prefix, size) == 0 &&
               (strncmp(topic + size, "/call/", 6) == 0 || strncmp(topic + size, "/reply/", 7) == 0);
    }

    void deliver(const uint8_t *content, unsigned int size)
    {
        scratch.clear();
        JsonDocument document(&scratch);
        DeserializationError fault = deserializeJson(document, content, size);
        if (fault == DeserializationError::NoMemory)
            return fail("reply_too_large", "the reply has more values than MosquittoRpc has memory for");
        if (fault == DeserializationError::TooDeep)
            return fail("reply_too_large", "the reply is nested deeper than ArduinoJson reads");
        JsonVariantConst result = document["result"], error = document["error"];
        const char *err = error["err"] | (const char *)nullptr;
        if (fault || (!err && (result.isUnbound() || !error.isNull())))
            return fail("bad_reply", "what has come as the reply is not the JSON that it should be");
        RpcReply reply = {err, err ? error["msg"] | "" : nullptr, result, error};
        end(reply);
    }

    void fail(const char *err, const char *msg)
    {
        RpcReply reply = {err, msg, JsonVariantConst(), JsonVariantConst()};
        end(reply);
    }

    // The handler may make the next call.
    void end(const RpcReply &reply)
    {
        pending = false;
        delivering = true;
        handler(reply);
        delivering = false;
    }
};

#endif
