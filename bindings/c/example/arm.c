/* A Cortex-M in QEMU: the vector table, the start, and semihosting to print and to end. */
#include "board.h"

#include <stdint.h>

extern uint32_t stack_top[], data_begin[], data_end[], data_stored[], bss_begin[], bss_end[];

static int semihosting(int operation, const void *argument) {
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void put(const char *text) { semihosting(0x04, text); }

void finish(int failed) {
    /* "Application exit", or "run time error". */
    semihosting(0x18, (const void *)(failed ? 0x20023 : 0x20026));
    for (;;) {
    }
}

static void fault(void) { finish(1); }

void reset(void) {
    uint32_t *stored = data_stored;
    for (uint32_t *at = data_begin; at < data_end; at++) {
        *at = *stored++;
    }
    for (uint32_t *at = bss_begin; at < bss_end; at++) {
        *at = 0;
    }
    finish(run());
}

__attribute__((section(".vectors"), used)) static const void *const vectors[16] = {
    stack_top, (void *)reset, (void *)fault, (void *)fault, (void *)fault, (void *)fault, (void *)fault,
};
