// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Arduino's interface of a TCP connection.
#ifndef CLIENT_H
#define CLIENT_H

#include "Arduino.h"
#include "IPAddress.h"

class Client
{
  public:
    virtual int connect(IPAddress address, uint16_t port) = 0;
    virtual int connect(const char *host, uint16_t port) = 0;
    virtual size_t write(uint8_t) = 0;
    virtual size_t write(const uint8_t *bytes, size_t size) = 0;
    virtual int available() = 0;
    virtual int read() = 0;
    virtual void flush() = 0;
    virtual void stop() = 0;
    virtual uint8_t connected() = 0;
};

#endif
