// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// Arduino's stream of bytes, which the sketches of examples/ do not use.
#ifndef STREAM_H
#define STREAM_H

#include "Arduino.h"

class Stream : public Print
{
};

#endif
