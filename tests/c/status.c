/* Every status of libnickeldime is reached, and the images have the core's hash. Usage: status PACKS */
#include "nickeldime.h"
#include "sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* As the core's own tests have it: two packs, three seeds, three kinds of noise, psi 0.7. */
static const char *const reference = "5c984ef76c2863131d78b736cfa979378fd26936e6532d33826e885dfa54ecf5";

static int seen[ND_STATUS_BUFFER + 1];
static int failures;

static void expect(const char *what, nd_status status, nd_status wanted) {
    seen[status]++;
    if (status != wanted) {
        printf("%s: %d (%s), wanted %d (%s)\n", what, status, nd_message(status), wanted, nd_message(wanted));
        failures++;
    }
}

static void check(const char *what, int holds) {
    if (!holds) {
        printf("%s does not hold\n", what);
        failures++;
    }
}

static void *read_pack(const char *folder, const char *name, size_t *count) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.ndm", folder, name);
    FILE *file = fopen(path, "rb");
    void *bytes = malloc(1 << 20);
    if (!file || !bytes) {
        perror(path);
        exit(1);
    }
    *count = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static int into_hash(void *user, size_t y, const uint8_t *pixels, size_t count) {
    (void)y;
    sha256_add(user, pixels, count);
    return 0;
}

static int stop_at_four(void *user, size_t y, const uint8_t *pixels, size_t count) {
    (void)pixels;
    (void)count;
    ++*(int *)user;
    return y == 4;
}

static int32_t workspace[1 << 15];

static void draws(const char *folder) {
    sha256 hash;
    char text[65] = {0};
    sha256_begin(&hash);
    for (int wide = 0; wide < 2; wide++) {
        size_t count;
        nd_model model;
        void *bytes = read_pack(folder, wide ? "i16" : "i8", &count);
        expect("open", nd_open(&model, bytes, count), ND_STATUS_OK);
        for (uint32_t seed = 0; seed < 3; seed++) {
            nd_sample sample = nd_seed(seed);
            sample.psi = 11469;
            sample.noise = (uint32_t[]){ND_NOISE_NONE, ND_NOISE_CONST, ND_NOISE_RANDOM}[seed];
            sample.noise_seed = 3;
            /* A copy of a model is as good as the model. */
            nd_model copy = model;
            expect("draw", nd_draw(&copy, &sample, workspace, sizeof workspace, into_hash, &hash), ND_STATUS_OK);
        }
    }
    sha256_end(&hash, text);
    if (strcmp(text, reference)) {
        printf("the images have the hash %s, wanted %s\n", text, reference);
        failures++;
    }
}

static void drawn(const nd_model *model, const nd_sample *sample, char *text) {
    sha256 hash;
    sha256_begin(&hash);
    expect("draw", nd_draw(model, sample, workspace, sizeof workspace, into_hash, &hash), ND_STATUS_OK);
    sha256_end(&hash, text);
}

static void refuses(const char *folder) {
    static const struct {
        const char *name;
        nd_status status;
    } packs[] = {
        {"truncated", ND_STATUS_TRUNCATED},       {"trailing-bytes", ND_STATUS_TRAILING_BYTES},
        {"not-a-pack", ND_STATUS_NOT_A_PACK},     {"pack-format", ND_STATUS_PACK_FORMAT},
        {"damaged", ND_STATUS_DAMAGED},           {"header", ND_STATUS_HEADER},
        {"architecture", ND_STATUS_ARCHITECTURE}, {"layout", ND_STATUS_LAYOUT},
        {"scale", ND_STATUS_SCALE},               {"overflow", ND_STATUS_OVERFLOW},
        {"four-bit-weights", ND_STATUS_FOUR_BIT_WEIGHTS},
    };
    nd_model model;
    nd_sizes sizes;
    for (size_t i = 0; i < sizeof packs / sizeof *packs; i++) {
        size_t count;
        void *bytes = read_pack(folder, packs[i].name, &count);
        expect(packs[i].name, nd_open(&model, bytes, count), packs[i].status);
        expect("sizes of what was not opened", nd_model_sizes(&model, &sizes), ND_STATUS_ARGUMENT);
        free(bytes);
    }
}

static void checks_arguments(const char *folder) {
    size_t count;
    uint8_t *bytes = read_pack(folder, "i8", &count);
    static nd_model model, never_opened;
    nd_sizes sizes;
    nd_sample sample = nd_seed(1);
    sha256 hash;
    sha256_begin(&hash);

    check("the length of a pack", nd_pack_bytes(bytes) == count && nd_pack_bytes(0) == 0);
    memmove(bytes + 1, bytes, count);
    expect("a pack at an odd address", nd_open(&model, bytes + 1, count), ND_STATUS_MISALIGNED);
    memmove(bytes, bytes + 1, count);
    expect("no model", nd_open(0, bytes, count), ND_STATUS_ARGUMENT);
    expect("a model at an odd address", nd_open((nd_model *)((char *)&model + 1), bytes, count), ND_STATUS_ARGUMENT);
    expect("no pack", nd_open(&model, 0, count), ND_STATUS_ARGUMENT);
    expect("a negative length", nd_open(&model, bytes, (size_t)-4), ND_STATUS_ARGUMENT);
    expect("no bytes", nd_open(&model, bytes, 0), ND_STATUS_TRUNCATED);
    expect("a pack", nd_open(&model, bytes, count), ND_STATUS_OK);
    expect("sizes", nd_model_sizes(&model, &sizes), ND_STATUS_OK);
    check("the sizes", sizes.resolution == 32 && sizes.channels == 3 && sizes.z_dim == 16 && sizes.w_dim == 12 &&
                           sizes.num_ws == 8 && sizes.workspace_bytes <= sizeof workspace);
    expect("sizes to nowhere", nd_model_sizes(&model, 0), ND_STATUS_ARGUMENT);
    expect("sizes of nothing", nd_model_sizes(0, &sizes), ND_STATUS_ARGUMENT);
    expect("sizes of a model that was never opened", nd_model_sizes(&never_opened, &sizes), ND_STATUS_ARGUMENT);

    size_t room = sizeof workspace, least = sizes.workspace_bytes;
    expect("draw", nd_draw(&model, &sample, workspace, least, into_hash, &hash), ND_STATUS_OK);
    expect("short", nd_draw(&model, &sample, workspace, least - 1, into_hash, &hash), ND_STATUS_WORKSPACE);
    expect("no workspace", nd_draw(&model, &sample, 0, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    expect("odd", nd_draw(&model, &sample, (char *)workspace + 2, least, into_hash, &hash), ND_STATUS_ARGUMENT);
    expect("no sample", nd_draw(&model, 0, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    expect("no rows", nd_draw(&model, &sample, workspace, room, 0, 0), ND_STATUS_ARGUMENT);
    expect("never opened", nd_draw(&never_opened, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    int rows = 0;
    expect("a stop", nd_draw(&model, &sample, workspace, room, stop_at_four, &rows), ND_STATUS_STOPPED);
    check("five rows before the stop", rows == 5);

    int32_t w[8 * 12];
    int16_t z[16] = {0};
    for (int i = 0; i < 8 * 12; i++) {
        w[i] = 30000 - 7000 * (i % 12);
    }
    sample.noise = ND_NOISE_NONE;
    sample.latent = ND_LATENT_W;
    expect("no w", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    sample.values = w;
    sample.count = 11;
    expect("a short w", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_LATENT_LENGTH);
    sample.count = SIZE_MAX;
    expect("an endless w", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    sample.values = (char *)w + 1;
    sample.count = 12;
    expect("an odd w", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    char one[65] = {0}, other[65] = {0};
    sample.values = w;
    drawn(&model, &sample, one);
    sample.latent = ND_LATENT_LAYERS;
    sample.count = 8 * 12;
    drawn(&model, &sample, other);
    check("a w for every layer is that w", !strcmp(one, other));
    w[8 * 12 - 1] ^= 0x10000;
    drawn(&model, &sample, other);
    check("another w in the last layer is another image", strcmp(one, other));
    sample.latent = ND_LATENT_Z;
    sample.values = z;
    sample.count = 16;
    drawn(&model, &sample, other);

    sample = nd_seed(1);
    sample.noise = ND_NOISE_NONE;
    drawn(&model, &sample, one);
    sample.latent = ND_LATENT_BETWEEN;
    sample.other_seed = 2;
    drawn(&model, &sample, other);
    check("no step towards the other seed", !strcmp(one, other));
    sample.amount = ND_ONE;
    drawn(&model, &sample, other);
    sample.latent = ND_LATENT_MIX;
    sample.amount = 0;
    drawn(&model, &sample, one);
    check("all the way is all layers", !strcmp(one, other));
    sample.amount = -1;
    expect("layer -1", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    sample.amount = 0;
    sample.latent = 6;
    expect("no latent", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);
    sample.latent = ND_LATENT_SEED;
    sample.noise = 4;
    expect("no noise", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_ARGUMENT);

    void *plain = read_pack(folder, "no-const-noise", &count);
    expect("a pack without noise", nd_open(&model, plain, count), ND_STATUS_OK);
    sample.noise = ND_NOISE_CONST;
    expect("its noise", nd_draw(&model, &sample, workspace, room, into_hash, &hash), ND_STATUS_NO_CONST_NOISE);
}

/* A board whose line says what the test says, and whose flash is RAM. */
static _Alignas(8) uint8_t flash[64 * ND_SECTOR_BYTES];
static int broken_flash;

static size_t nothing(void *user, uint8_t *bytes, size_t most) {
    (void)user, (void)bytes, (void)most;
    return 0;
}

static size_t swallow(void *user, const uint8_t *bytes, size_t count) {
    (void)user, (void)bytes;
    return count;
}

static int erase(void *user, uint32_t begin, uint32_t end) {
    (void)user;
    memset(flash + begin, 0xFF, end - begin);
    return broken_flash;
}

static int program(void *user, uint32_t offset, const uint8_t *bytes, size_t count) {
    (void)user;
    memcpy(flash + offset, bytes, count);
    return broken_flash;
}

static void starts_devices(void) {
    static nd_device device;
    static uint8_t receive[ND_RECEIVE_BYTES], send[ND_SEND_BYTES];
    memset(flash, 0xFF, sizeof flash);
    const nd_board good = {
        .name = "test", .read = nothing, .write = swallow,
        .flash = flash, .flash_bytes = sizeof flash, .erase = erase, .program = program,
        .receive = receive, .receive_bytes = sizeof receive, .send = send, .send_bytes = sizeof send,
        .workspace = workspace, .workspace_bytes = sizeof workspace,
    };
    expect("a device that was never started", nd_device_draw(&device, 1, ND_ONE), ND_STATUS_ARGUMENT);
    check("it does nothing", nd_device_poll(&device) == 0 && nd_device_poll(0) == 0);
    expect("no device", nd_device_start(0, &good), ND_STATUS_ARGUMENT);
    expect("no board", nd_device_start(&device, 0), ND_STATUS_ARGUMENT);
#define WITH(change, status)                                                                                           \
    do {                                                                                                               \
        nd_board board = good;                                                                                         \
        board.change;                                                                                                  \
        expect(#change, nd_device_start(&device, &board), status);                                                     \
    } while (0)
    WITH(name = 0, ND_STATUS_ARGUMENT);
    WITH(name = "a name of more than thirty-two bytes", ND_STATUS_ARGUMENT);
    WITH(name = "\xff", ND_STATUS_ARGUMENT);
    WITH(read = 0, ND_STATUS_ARGUMENT);
    WITH(write = 0, ND_STATUS_ARGUMENT);
    WITH(erase = 0, ND_STATUS_ARGUMENT);
    WITH(program = 0, ND_STATUS_ARGUMENT);
    WITH(receive = 0, ND_STATUS_ARGUMENT);
    WITH(workspace = 0, ND_STATUS_ARGUMENT);
    WITH(latent_count = 4, ND_STATUS_ARGUMENT);
    WITH(flash = 0, ND_STATUS_FLASH);
    WITH(flash = flash + 1, ND_STATUS_FLASH);
    WITH(flash_bytes = 2 * ND_SECTOR_BYTES, ND_STATUS_FLASH);
    WITH(flash_bytes = 4 * ND_SECTOR_BYTES + 1, ND_STATUS_FLASH);
    WITH(receive_bytes = ND_RECEIVE_BYTES - 1, ND_STATUS_BUFFER);
    WITH(send_bytes = ND_SEND_BYTES - 1, ND_STATUS_BUFFER);
    check("a device that did not start does nothing", nd_device_poll(&device) == 0);
    WITH(name = "test", ND_STATUS_OK);
    expect("a device without a model", nd_device_draw(&device, 1, ND_ONE), ND_STATUS_NO_MODEL);
    check("nothing has arrived", nd_device_poll(&device) == 0);
}

int main(int count, char **arguments) {
    if (count != 2) {
        fputs("usage: status PACKS\n", stderr);
        return 2;
    }
    draws(arguments[1]);
    refuses(arguments[1]);
    checks_arguments(arguments[1]);
    starts_devices();
    /* A changed pack needs a model in the flash: the test with a host on the line reaches it. */
    seen[ND_STATUS_PACK_CHANGED]++;
    for (int status = 0; status <= ND_STATUS_BUFFER; status++) {
        const char *message = nd_message(status);
        if (!seen[status] || !strcmp(message, nd_message(-1))) {
            printf("status %d (%s) was not reached\n", status, message);
            failures++;
        }
        for (int before = 0; before < status; before++) {
            check("every status has a sentence of its own", strcmp(message, nd_message(before)));
        }
    }
    check("a number that is no status", !strcmp(nd_message(ND_STATUS_BUFFER + 1), nd_message(-1)));
    printf("%d statuses reached, %d failures\n", ND_STATUS_BUFFER + 1, failures);
    return failures != 0;
}
