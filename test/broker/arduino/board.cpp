// SPDX-License-Identifier: EPL-2.0 OR BSD-3-Clause
// A board on POSIX: runs the sketch until SIGTERM, and then says by how many bytes the heap has grown
// meanwhile.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "ESP8266WiFi.h"

WiFiClass WiFi;
SerialClass Serial;
static volatile sig_atomic_t stopping;

unsigned long millis()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

unsigned long micros()
{
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000000 + (unsigned long)now.tv_nsec / 1000;
}

// From the hardware, as on the ESP8266 and the ESP32.
long random(long limit)
{
    unsigned number = 0;
    if (getrandom(&number, sizeof number, 0) != sizeof number)
        abort();
    return (long)(number % (unsigned long)limit);
}

void yield()
{
}

void pinMode(int, int)
{
}

void analogWrite(int, int value)
{
    printf("lamp %d\n", (value * 100 + 127) / 255);
}

int analogRead(int)
{
    return 215;
}

int WiFiClient::connect(IPAddress, uint16_t)
{
    return connect("", 0);
}

int WiFiClient::connect(const char *, uint16_t)
{
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons((uint16_t)atoi(getenv("BROKER_PORT")));
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    stop();
    socket = ::socket(AF_INET, SOCK_STREAM, 0);
    if (::connect(socket, (sockaddr *)&address, sizeof address) == 0)
        return 1;
    stop();
    return 0;
}

size_t WiFiClient::write(uint8_t octet)
{
    return write(&octet, 1);
}

size_t WiFiClient::write(const uint8_t *bytes, size_t size)
{
    ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
    return sent < 0 ? 0 : (size_t)sent;
}

int WiFiClient::available()
{
    int count = 0;
    return socket >= 0 && ioctl(socket, FIONREAD, &count) == 0 ? count : 0;
}

int WiFiClient::read()
{
    uint8_t octet;
    return recv(socket, &octet, 1, MSG_DONTWAIT) == 1 ? octet : -1;
}

void WiFiClient::stop()
{
    if (socket >= 0)
        close(socket);
    socket = -1;
}

// As on a board: true while there are bytes to read, even if the other side has closed.
uint8_t WiFiClient::connected()
{
    uint8_t octet;
    if (socket < 0)
        return 0;
    ssize_t count = recv(socket, &octet, 1, MSG_PEEK | MSG_DONTWAIT);
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EINTR));
}

static void stop_soon(int)
{
    stopping = 1;
}

int main()
{
    static char lines[4096];
    setvbuf(stdout, lines, _IOLBF, sizeof lines);
    signal(SIGTERM, stop_soon);
    size_t before = mallinfo2().uordblks;
    setup();
    while (!stopping) {
        loop();
        usleep(1000);
    }
    printf("heap %zu\n", mallinfo2().uordblks - before);
    return 0;
}
