// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Arduino's stream of bytes.
#ifndef STREAM_H
#define STREAM_H

#include "Arduino.h"

class Stream : public Print
{
  public:
    virtual int available() = 0;
    virtual int read() = 0;
    virtual int peek() = 0;
};

#endif
