/* The example's program with a second Rust library: it is called before the image is drawn. */
/* RUN is run_example here. */
#include "board.h"

#include <stddef.h>
#include <stdint.h>

uint64_t second_sum(const uint8_t *bytes, size_t count, uint64_t by);

int run(void) {
    const uint8_t bytes[4] = {10, 20, 30, 40};
    volatile uint64_t by = 4;
    if (second_sum(bytes, 4, by) != 25) {
        put("the second library is wrong\n");
        return 1;
    }
    put("two libraries: ");
    return run_example();
}
