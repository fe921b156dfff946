// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Arduino's address of a host, which the sketches of examples/ give as text instead.
#ifndef IP_ADDRESS_H
#define IP_ADDRESS_H

#include <stdint.h>

class IPAddress
{
  public:
    IPAddress()
    {
    }
    IPAddress(uint8_t, uint8_t, uint8_t, uint8_t)
    {
    }
};

#endif
