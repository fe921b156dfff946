// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What the sketches of examples/ use of PubSubClient 2.8, with what surprises people about it: one buffer of
// 256 bytes for both directions, so that publish() overwrites the payload that the callback was given, and a
// packet that does not fit is lost without a word, and not acknowledged. If there is a stream, all payloads
// are written to it, and the callback is also given what has been cut off at the end of the buffer.
#ifndef PUB_SUB_CLIENT_H
#define PUB_SUB_CLIENT_H

#include "Client.h"
#include "Stream.h"

class PubSubClient
{
  public:
    typedef void (*Callback)(char *topic, uint8_t *payload, unsigned int size);

    explicit PubSubClient(Client &client) : network(client)
    {
    }

    PubSubClient &setServer(const char *, uint16_t)
    {
        return *this;
    }

    PubSubClient &setCallback(Callback function)
    {
        callback = function;
        return *this;
    }

    PubSubClient &setStream(Stream &given)
    {
        stream = &given;
        return *this;
    }

    uint16_t getBufferSize()
    {
        return sizeof buffer;
    }

    bool connect(const char *id)
    {
        return connect(id, nullptr, nullptr, nullptr, 0, false, nullptr);
    }

    bool connect(const char *id, const char *user, const char *password, const char *will_topic,
                 uint8_t will_qos, bool will_retain, const char *will)
    {
        if (connected())
            return true;
        if (!network.connect("", 0))
            return false;
        begin();
        put_text("MQTT");
        put(4); // MQTT 3.1.1
        put((uint8_t)((user ? 0xC0 : 0) | (will ? 4 : 0) | 2 | will_qos << 3 |
                      will_retain << 5)); // 2: clean session
        put(0);
        put(KEEPALIVE);
        put_text(id);
        put_given(will_topic);
        put_given(will);
        put_given(user);
        put_given(password);
        pinged = false;
        heard = millis();
        open = send(0x10) && read_packet() && buffer[0] == 0x20 && buffer[3] == 0;
        if (!open)
            network.stop();
        return open;
    }

    bool connected()
    {
        open = open && network.connected();
        if (!open)
            network.stop();
        return open;
    }

    bool publish(const char *topic, const char *payload, bool retained = false)
    {
        if (!connected() || HEADER + 2 + strlen(topic) + strlen(payload) > sizeof buffer)
            return false;
        begin();
        put_text(topic);
        while (*payload)
            put((uint8_t)*payload++);
        return send((uint8_t)(0x30 | retained));
    }

    // A message in parts, which may be larger than the buffer; its topic may not, and nobody checks that.
    bool beginPublish(const char *topic, unsigned int length, bool retained)
    {
        if (!connected())
            return false;
        begin();
        put_text(topic);
        return send((uint8_t)(0x30 | retained), length);
    }

    size_t write(const uint8_t *bytes, size_t count)
    {
        return network.write(bytes, count);
    }

    int endPublish()
    {
        return 1;
    }

    void disconnect()
    {
        const uint8_t packet[] = {0xE0, 0};
        network.write(packet, sizeof packet);
        open = false;
        network.stop();
    }

    bool subscribe(const char *topic, uint8_t qos)
    {
        begin();
        put(0);
        put(1);
        put_text(topic);
        put(qos);
        return connected() && send(0x82);
    }

    bool loop()
    {
        if (!connected() || !keep_alive())
            return false;
        if (!network.available() || !read_packet())
            return connected();
        if ((buffer[0] & 0xF0) == 0x30)
            deliver();
        pinged = pinged && buffer[0] != 0xD0;
        return true;
    }

  private:
    static const uint8_t KEEPALIVE = 15;
    static const size_t HEADER = 5;

    Client &network;
    Callback callback = nullptr;
    Stream *stream = nullptr;
    uint8_t buffer[256];
    size_t size = 0, start = 0; // of the packet in it; of that part of a received one that follows its length
    bool open = false, pinged = false;
    unsigned long heard = 0;

    void begin()
    {
        size = HEADER;
    }

    void put(uint8_t octet)
    {
        buffer[size++] = octet;
    }

    void put_text(const char *text)
    {
        size_t length = strlen(text);
        put(0);
        put((uint8_t)length);
        memcpy(buffer + size, text, length);
        size += length;
    }

    void put_given(const char *text)
    {
        if (text)
            put_text(text);
    }

    // Sends what was put, behind a header: the first byte and the length in one to four bytes. More bytes
    // will follow.
    bool send(uint8_t first, size_t more = 0)
    {
        uint8_t digits[4];
        size_t count = 0, at;
        for (size_t rest = size - HEADER + more; count == 0 || rest > 0; rest >>= 7) {
            digits[count++] = (uint8_t)((rest & 127) | (rest > 127 ? 128 : 0));
        }
        at = HEADER - 1 - count;
        buffer[at] = first;
        memcpy(buffer + at + 1, digits, count);
        return network.write(buffer + at, size - at) == size - at;
    }

    bool read_byte(uint8_t &octet)
    {
        unsigned long since = millis();
        while (!network.available())
            if (millis() - since > 5000 || !network.connected())
                return false;
        octet = (uint8_t)network.read();
        return true;
    }

    // Reads a packet into the buffer; false: it does not fit, or the connection is lost.
    bool read_packet()
    {
        uint8_t octet = 128;
        size_t length = 0;
        size = 0;
        if (!read_byte(buffer[size++]))
            return false;
        for (unsigned shift = 0; octet & 128; shift += 7) {
            if (shift > 21 || !read_byte(octet))
                return false;
            buffer[size++] = octet;
            length |= (size_t)(octet & 127) << shift;
        }
        start = size;
        for (size_t i = 0; i < length; i++, size++) {
            if (!read_byte(octet))
                return false;
            if (size < sizeof buffer)
                buffer[size] = octet;
            if (stream && (buffer[0] & 0xF0) == 0x30 && i >= 2 && i >= payload_at())
                stream->write(octet);
        }
        heard = millis();
        if (stream && size > sizeof buffer)
            size = sizeof buffer;
        return size <= sizeof buffer;
    }

    // Where the payload begins, behind the length of the packet that is being read.
    size_t payload_at()
    {
        return 2 + (size_t)(buffer[start] << 8 | buffer[start + 1]) + (buffer[0] & 0x06 ? 2 : 0);
    }

    void deliver()
    {
        bool is_acked = buffer[0] & 0x06;
        size_t topic = start + 2, length = (size_t)(buffer[start] << 8 | buffer[start + 1]);
        uint8_t *payload = buffer + topic + length + (is_acked ? 2 : 0);
        uint8_t ack[] = {0x40, 2, payload[-2], payload[-1]};
        memmove(buffer + topic - 1, buffer + topic, length);
        buffer[topic - 1 + length] = 0;
        callback((char *)buffer + topic - 1, payload, (unsigned int)(buffer + size - payload));
        if (is_acked)
            network.write(ack, sizeof ack);
    }

    bool keep_alive()
    {
        if (millis() - heard < KEEPALIVE * 1000UL)
            return true;
        if (pinged)
            network.stop();
        uint8_t ping[] = {0xC0, 0};
        pinged = true;
        heard = millis();
        return connected() && network.write(ping, sizeof ping) == sizeof ping;
    }
};

#endif
