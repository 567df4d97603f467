// Draws a seed every two seconds and prints the image as text, for RP2040 and RP2350 boards.
//
// pack.h has the generator. `xxd -i face.ndm` makes one of your own; keep its name, its type and its alignment.

#include <nickeldime.h>

#include "pack.h"

static nd_model model;
static nd_sizes sizes;
// As much as nd_model_sizes asks for: a larger pack wants more.
alignas(4) static uint8_t workspace[96 * 1024];
static uint64_t seed = 0;

// Gets a row of the image as soon as it is drawn. A display would get its pixels here.
static int showRow(void *user, size_t y, const uint8_t *pixels, size_t count) {
  (void)user;
  if (y % 2 == 0) {
    for (size_t x = 0; x < count / sizes.channels; x++) {
      Serial.print(" .:-=+*#%@"[pixels[sizes.channels * x] * 10 / 256]);
    }
    Serial.println();
  }
  return 0;
}

static bool fails(nd_status status) {
  if (status != ND_STATUS_OK) {
    Serial.print("error: ");
    Serial.println(nd_message(status));
  }
  return status != ND_STATUS_OK;
}

void setup() {
  Serial.begin(115200);
  while (!Serial) {
    delay(10);
  }
  while (fails(nd_open(&model, pack, sizeof pack)) || fails(nd_model_sizes(&model, &sizes))) {
    delay(2000);
  }
}

void loop() {
  nd_sample sample = nd_seed(seed++);
  fails(nd_draw(&model, &sample, workspace, sizeof workspace, showRow, nullptr));
  delay(2000);
}
