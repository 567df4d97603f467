/* A board in C behind a pseudo-terminal, with RAM for flash. It prints its port, serves until standard input ends, and then
 * looks at what it has: a model that it draws, which it still has after a restart, and of which it notices a change. */
#define _GNU_SOURCE
#include "nickeldime.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static _Alignas(8) uint8_t flash[256 * ND_SECTOR_BYTES];
static uint8_t receive[ND_SECTOR_BYTES + 64], send[1024];
static int32_t latents[512], workspace[1 << 15];
static nd_device device;
static int line, rows;

static size_t read_line(void *user, uint8_t *bytes, size_t most) {
    (void)user;
    ssize_t count = read(line, bytes, most);
    return count > 0 ? (size_t)count : 0;
}

static size_t write_line(void *user, const uint8_t *bytes, size_t count) {
    (void)user;
    for (;;) {
        ssize_t taken = write(line, bytes, count);
        if (taken > 0) {
            return (size_t)taken;
        }
        struct pollfd room = {.fd = line, .events = POLLOUT};
        if (poll(&room, 1, 1000) <= 0) {
            return 0;
        }
    }
}

/* As flash does: erasing sets bits, writing clears them, and both are aligned. */
static int erase(void *user, uint32_t begin, uint32_t end) {
    (void)user;
    if (begin % ND_SECTOR_BYTES || end % ND_SECTOR_BYTES) {
        return 1;
    }
    memset(flash + begin, 0xFF, end - begin);
    return 0;
}

static int program(void *user, uint32_t offset, const uint8_t *bytes, size_t count) {
    (void)user;
    if (offset % ND_PAGE_BYTES || count % ND_PAGE_BYTES) {
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        flash[offset + i] &= bytes[i];
    }
    return 0;
}

static int row(void *user, size_t y, const uint8_t *pixels, size_t count) {
    (void)user, (void)y, (void)pixels, (void)count;
    rows++;
    return 0;
}

static const nd_board board = {
    .name = "c-board", .read = read_line, .write = write_line, .row = row,
    .flash = flash, .flash_bytes = sizeof flash, .erase = erase, .program = program,
    .receive = receive, .receive_bytes = sizeof receive, .send = send, .send_bytes = sizeof send,
    .latents = latents, .latent_count = sizeof latents / sizeof *latents,
    .workspace = workspace, .workspace_bytes = sizeof workspace, .window = 4096,
};

static int is(const char *what, int status, int wanted) {
    if (status != wanted) {
        printf("%s: %d (%s), wanted %d\n", what, status, nd_message(status), wanted);
    }
    return status == wanted;
}

int main(void) {
    line = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (line < 0 || grantpt(line) || unlockpt(line)) {
        perror("a pseudo-terminal");
        return 1;
    }
    /* Kept open, so that the line stays when a host closes it. */
    int end = open(ptsname(line), O_RDWR | O_NOCTTY);
    struct termios raw;
    tcgetattr(end, &raw);
    cfmakeraw(&raw);
    tcsetattr(end, TCSANOW, &raw);
    memset(flash, 0xFF, sizeof flash);
    if (!is("start", nd_device_start(&device, &board), ND_STATUS_OK)) {
        return 1;
    }
    puts(ptsname(line));
    fflush(stdout);

    struct pollfd wait[2] = {{.fd = line, .events = POLLIN}, {.fd = 0, .events = POLLIN}};
    for (char end_of_test; !(wait[1].revents && read(0, &end_of_test, 1) <= 0);) {
        if (!nd_device_poll(&device)) {
            poll(wait, 2, 100);
        }
    }

    rows = 0;
    int good = is("draw", nd_device_draw(&device, 1, ND_ONE), ND_STATUS_OK);
    printf("%d rows were shown\n", rows);
    good &= is("restart", nd_device_start(&device, &board), ND_STATUS_OK);
    good &= is("draw after a restart", nd_device_draw(&device, 1, ND_ONE), ND_STATUS_OK);
    for (size_t at = 2 * ND_SECTOR_BYTES; at < sizeof flash; at += ND_SECTOR_BYTES) {
        flash[at] ^= 0x40;
    }
    good &= is("draw a changed pack", nd_device_draw(&device, 1, ND_ONE), ND_STATUS_PACK_CHANGED);
    good &= is("restart with a changed pack", nd_device_start(&device, &board), ND_STATUS_OK);
    good &= is("draw without a model", nd_device_draw(&device, 1, ND_ONE), ND_STATUS_NO_MODEL);
    puts(good ? "the board is as it should be" : "the board is not as it should be");
    return !good || rows == 0;
}
