// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// What the sketches of examples/ use of Arduino, on POSIX. A pin that is written is a line on standard
// output.
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint8_t byte;
typedef bool boolean;

#define PROGMEM
#define pgm_read_byte_near(address) (*(address))

const int LED_BUILTIN = 2, OUTPUT = 1, A0 = 17;

unsigned long millis();
unsigned long micros();
long random(long limit);
void yield();
void pinMode(int pin, int mode);
void analogWrite(int pin, int value);
int analogRead(int pin);

void setup();
void loop();

class Print
{
  public:
    virtual size_t write(uint8_t) = 0;
};

// What is printed is a line on standard output.
class SerialClass
{
  public:
    void begin(unsigned long)
    {
    }
    void println(const char *text)
    {
        puts(text);
    }
    void println(double value)
    {
        printf("%.2f\n", value);
    }
};
extern SerialClass Serial;

#endif
