/* nickeldime: draws the images of a StyleGAN2 generator, in integers, and speaks the device's end of the link.
 *
 * Made of the Rust sources by `NICKELDIME_HEADER=write cargo test -p nickeldime-c --test header`; do not edit.
 * docs/c.md is the guide. */

#ifndef NICKELDIME_H
#define NICKELDIME_H

#include <stddef.h>
#include <stdint.h>

// Words of an `nd_device`.
#define ND_DEVICE_WORDS 192

// The shortest buffer for requests: a page of a pack, and what surrounds it.
#define ND_RECEIVE_BYTES 320

// The shortest buffer for replies: the answer to hello.
#define ND_SEND_BYTES 256

// Bytes that are erased at once: what a chip's own sectors must divide.
#define ND_SECTOR_BYTES 4096

// Bytes that are written at once: what a chip's own words or pages must divide.
#define ND_PAGE_BYTES 256

// Words of an `nd_model`.
#define ND_MODEL_WORDS 320

// Bytes at a pack's begin that tell its length.
#define ND_PREFIX_BYTES 64

// 1.0 in Q14: psi that leaves images as they are, or all the way to the other seed.
#define ND_ONE 16384

// The result of a call. `nd_message` has a sentence for each.
typedef enum nd_status {
  // The call did what it was asked for.
  ND_STATUS_OK = 0,
  // A pointer is null or not aligned, a number is out of its range, or a model or device was never opened.
  ND_STATUS_ARGUMENT = 1,
  // The pack does not begin at a multiple of 4 in memory.
  ND_STATUS_MISALIGNED = 2,
  // There are fewer bytes than the pack has.
  ND_STATUS_TRUNCATED = 3,
  // There are more bytes than the pack has.
  ND_STATUS_TRAILING_BYTES = 4,
  // The bytes are not a pack.
  ND_STATUS_NOT_A_PACK = 5,
  // The pack has another format version than this library reads.
  ND_STATUS_PACK_FORMAT = 6,
  // The pack is damaged: its SHA-256 does not agree.
  ND_STATUS_DAMAGED = 7,
  // The pack's header does not decode.
  ND_STATUS_HEADER = 8,
  // The pack's header describes no generator that this library draws.
  ND_STATUS_ARCHITECTURE = 9,
  // An array of the pack lies outside it or is not aligned.
  ND_STATUS_LAYOUT = 10,
  // A scale, shift or limit of the pack is out of its range.
  ND_STATUS_SCALE = 11,
  // An accumulator of the pack could overflow.
  ND_STATUS_OVERFLOW = 12,
  // The pack has 4-bit weights, which this library cannot draw.
  ND_STATUS_FOUR_BIT_WEIGHTS = 13,
  // The workspace is shorter than the model needs.
  ND_STATUS_WORKSPACE = 14,
  // z or w has another length than the model's.
  ND_STATUS_LATENT_LENGTH = 15,
  // The sample asks for constant noise, which the pack does not have.
  ND_STATUS_NO_CONST_NOISE = 16,
  // The row callback stopped the image, or bytes arrived on the line.
  ND_STATUS_STOPPED = 17,
  // The pack in the flash is not the one that was verified.
  ND_STATUS_PACK_CHANGED = 18,
  // The device has no model loaded.
  ND_STATUS_NO_MODEL = 19,
  // The flash of a board is too short, not aligned, or not a whole number of sectors.
  ND_STATUS_FLASH = 20,
  // A buffer of a board is too short.
  ND_STATUS_BUFFER = 21,
} nd_status;

// Where an image comes from.
typedef enum nd_latent {
  // `seed`.
  ND_LATENT_SEED = 0,
  // Style mixing: `seed` for the layers before `amount`, `other_seed` for that layer and those after it.
  ND_LATENT_MIX = 1,
  // Between `seed` and `other_seed`, at `amount` in Q14: 0 is the first, ND_ONE the second.
  ND_LATENT_BETWEEN = 2,
  // `values` is z: `z_dim` numbers of type int16_t in Q12.
  ND_LATENT_Z = 3,
  // `values` is w: `w_dim` numbers of type int32_t in Q16. psi has no effect.
  ND_LATENT_W = 4,
  // `values` is a w for every layer: `num_ws * w_dim` numbers of type int32_t in Q16. psi has no effect.
  ND_LATENT_LAYERS = 5,
} nd_latent;

// The kinds of noise that an image's layers can add.
typedef enum nd_noise {
  // The kind that the pack was made to be shown with.
  ND_NOISE_DEFAULT = 0,
  // No noise.
  ND_NOISE_NONE = 1,
  // The constant maps of the pack.
  ND_NOISE_CONST = 2,
  // Random noise, by `noise_seed`.
  ND_NOISE_RANDOM = 3,
} nd_noise;

// A device, in memory of the caller's that stays where it is. What it holds is the library's business.
typedef struct nd_device {
  // Opaque.
  uint64_t opaque[ND_DEVICE_WORDS];
} nd_device;

// Takes row `y` of an image: `count` bytes, `channels` for each pixel, from the left. Rows come from the top, y = 0. The
// bytes are valid during the call. 0 continues, everything else stops the image.
typedef int (*nd_row)(void *user, size_t y, const uint8_t *pixels, size_t count);

// A board: its line, its flash and its memory. All of it stays valid while the device is used.
typedef struct nd_board {
  // The board's name, which `nickeldime devices` shows: at most 32 bytes of UTF-8, and a zero.
  const char *name;
  // Passed to every callback.
  void *user;
  // Takes up to `most` bytes that have arrived and returns how many. It never waits: 0 says that none are there.
  size_t (*read)(void *user, uint8_t *bytes, size_t most);
  // Sends bytes and returns how many the line took, waiting until it takes one at least. 0 says that the line is broken.
  size_t (*write)(void *user, const uint8_t *bytes, size_t count);
  // The flash for packs, readable like memory, at a multiple of 4.
  const uint8_t *flash;
  // Bytes of the flash: a multiple of ND_SECTOR_BYTES, three of them at least.
  size_t flash_bytes;
  // Erases the flash from `begin` to before `end` to all ones; both are multiples of ND_SECTOR_BYTES. 0 says done.
  int (*erase)(void *user, uint32_t begin, uint32_t end);
  // Writes to erased flash; `offset` and `count` are multiples of ND_PAGE_BYTES. 0 says done.
  int (*program)(void *user, uint32_t offset, const uint8_t *bytes, size_t count);
  // Sees every row that is drawn, for a display or a watchdog; may be null. What it returns is ignored.
  nd_row row;
  // One request: ND_RECEIVE_BYTES at least. With ND_SECTOR_BYTES + 64 an upload has the fewest requests.
  uint8_t *receive;
  // Bytes of `receive`.
  size_t receive_bytes;
  // One reply: ND_SEND_BYTES at least. Longer ones carry more pixels at a time.
  uint8_t *send;
  // Bytes of `send`.
  size_t send_bytes;
  // A latent from the host: `w_dim` numbers, or `num_ws * w_dim` for a w for every layer; may be null.
  int32_t *latents;
  // Numbers that `latents` has room for.
  size_t latent_count;
  // The memory that images are drawn in, at a multiple of 4.
  void *workspace;
  // Bytes of `workspace`: as many as `nd_model_sizes` says for the largest model.
  size_t workspace_bytes;
  // Bytes that the serial line keeps while nobody reads: the length of its ring buffer, or of what USB's driver holds
  // back. 0 for a line that loses them.
  size_t window;
} nd_board;

// An open pack, in memory of the caller's. What it holds is the library's business; it may be copied, and needs no end.
typedef struct nd_model {
  // Opaque.
  uint64_t opaque[ND_MODEL_WORDS];
} nd_model;

// The description of one image. `nd_seed` fills one in.
typedef struct nd_sample {
  // A number of nd_latent: which of the other fields count.
  uint32_t latent;
  // A number of nd_noise.
  uint32_t noise;
  // The seed, or the first of two.
  uint64_t seed;
  // The second seed.
  uint64_t other_seed;
  // The seed of random noise.
  uint64_t noise_seed;
  // The numbers of z or w.
  const void *values;
  // The number of entries of the latent.
  size_t count;
  // The layer of a mix, or the way to the second seed in Q14.
  int16_t amount;
  // The truncation psi in Q14: ND_ONE leaves an image as it is, 0 gives the mean image.
  int16_t psi;
} nd_sample;

// The sizes of a model.
typedef struct nd_sizes {
  // Height and width of its images in pixels.
  uint32_t resolution;
  // Bytes of a pixel: 3 for red, green and blue, 1 for grey.
  uint32_t channels;
  // Numbers in z.
  uint32_t z_dim;
  // Numbers in w.
  uint32_t w_dim;
  // Layers that take a w.
  uint32_t num_ws;
  // Bytes of RAM that `nd_draw` works in.
  size_t workspace_bytes;
} nd_sizes;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the library's version, as "0.1.0".
const char *nd_version(void);

// Returns the version of the pack format that this library reads.
uint32_t nd_pack_format(void);

// Starts a device: verifies the pack in the flash, if there is one, and waits for requests. A device that could not be
// started is marked as such.
//
// The caller promises:
// `device` is null or writable. `board` is null or readable; its name is a C string, and its name, memory and flash stay
// valid while the device is used, the memory used by nobody else. The callbacks do not call this device's functions.
enum nd_status nd_device_start(struct nd_device *device,
                               const struct nd_board *board);

// Answers the requests that have arrived; call it for ever. Returns 1 when it did something, and 0 when nothing complete had
// arrived, so that the board may sleep until the next byte.
//
// The caller promises:
// `device` is null, all zero, or was passed to `nd_device_start`.
int nd_device_poll(struct nd_device *device);

// Draws an image of the loaded model that no host asked for; the board's `row` sees it. It stops when bytes arrive. psi is
// Q14; the noise is of the kind that the pack was made to be shown with.
//
// The caller promises:
// `device` is null, all zero, or was passed to `nd_device_start`.
enum nd_status nd_device_draw(struct nd_device *device,
                              uint64_t seed,
                              int16_t psi);

// Draws one image and gives its rows to `row`, with `user` passed through. The result depends on the pack and the sample
// alone, on every processor, whatever the workspace held before.
//
// The caller promises:
// `model` is null, all zero, or was passed to `nd_open`. `sample` is null or readable, and so are its `values`. `workspace`
// is null or has `workspace_bytes` writable bytes, used by nobody else during the call.
enum nd_status nd_draw(const struct nd_model *model,
                       const struct nd_sample *sample,
                       void *workspace,
                       size_t workspace_bytes,
                       nd_row row,
                       void *user);

// Returns the length in bytes of the pack that begins at `prefix`, from its first 64 bytes, or 0 when none begins there.
//
// The caller promises:
// `prefix` is null or has ND_PREFIX_BYTES readable bytes.
size_t nd_pack_bytes(const void *prefix);

// Verifies a pack and opens it in place: its hash, its sizes, and that no accumulator can overflow. It reads every byte
// twice. A model that could not be opened is marked as such.
//
// The caller promises:
// `model` is null or writable. `pack` is null or has `bytes` readable bytes, which stay as they are while `model` is used.
enum nd_status nd_open(struct nd_model *model,
                       const void *pack,
                       size_t bytes);

// Tells the sizes of an open model.
//
// The caller promises:
// `model` is null, all zero, or was passed to `nd_open`. `sizes` is null or writable.
enum nd_status nd_model_sizes(const struct nd_model *model, struct nd_sizes *sizes);

// Describes the image of a seed: psi 1, and the noise that the pack was made to be shown with.
struct nd_sample nd_seed(uint64_t seed);

// Returns the sentence for a status: what is wrong and what to do about it. It never returns null.
const char *nd_message(int status);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* NICKELDIME_H */
