/* Draws the seeds 0 to 15 of the pack that is linked into the program, and prints the SHA-256 of their pixels. The same
 * number comes from `nickeldime sample PACK --seed 0..15`, on every processor. */
#include "board.h"
#include "nickeldime.h"
#include "sha256.h"

extern const uint8_t pack_begin[], pack_end[];

static nd_model model;
static sha256 hash;
/* As much as the largest model needs that this program is meant for: nd_model_sizes says how much that is. */
static int32_t workspace[WORKSPACE_BYTES / 4];

static int row(void *user, size_t y, const uint8_t *pixels, size_t count) {
    (void)user;
    (void)y;
    sha256_add(&hash, pixels, count);
    return 0;
}

static void put_number(uint32_t number) {
    char text[11];
    int at = sizeof text - 1;
    text[at] = 0;
    do {
        text[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number);
    put(text + at);
}

static int fails(nd_status status) {
    if (status != ND_STATUS_OK) {
        put("error: ");
        put(nd_message(status));
        put("\n");
    }
    return status != ND_STATUS_OK;
}

int RUN(void) {
    nd_sizes sizes;
    if (fails(nd_open(&model, pack_begin, (size_t)(pack_end - pack_begin))) || fails(nd_model_sizes(&model, &sizes))) {
        return 1;
    }
    put("nickeldime ");
    put(nd_version());
    put(": ");
    put_number(sizes.resolution);
    put(" pixels, ");
    put_number((uint32_t)sizes.workspace_bytes);
    put(" bytes of workspace\n");

    sha256_begin(&hash);
    for (uint64_t seed = 0; seed < 16; seed++) {
        nd_sample sample = nd_seed(seed);
        if (fails(nd_draw(&model, &sample, workspace, sizeof workspace, row, 0))) {
            return 1;
        }
    }
    char text[66];
    sha256_end(&hash, text);
    text[64] = '\n';
    text[65] = 0;
    put(text);
    return 0;
}
