// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// The network of an ESP8266 on a POSIX socket. Wherever the sketch wants to connect to, it gets the broker at
// 127.0.0.1 and the port in the environment variable BROKER_PORT.
#ifndef ESP8266_WIFI_H
#define ESP8266_WIFI_H

#include "Client.h"

enum { WL_CONNECTED = 3, WIFI_STA = 1 };

class WiFiClass
{
  public:
    void mode(int)
    {
    }
    void begin(const char *, const char *)
    {
    }
    int status()
    {
        return WL_CONNECTED;
    }
};
extern WiFiClass WiFi;

class WiFiClient : public Client
{
  public:
    int connect(IPAddress address, uint16_t port) override;
    int connect(const char *host, uint16_t port) override;
    size_t write(uint8_t) override;
    size_t write(const uint8_t *bytes, size_t size) override;
    int available() override;
    int read() override;
    void flush() override
    {
    }
    void stop() override;
    uint8_t connected() override;

  private:
    int socket = -1;
};

#endif
