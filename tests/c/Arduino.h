// As much of Arduino as the sketch uses, and what a core does with it.
#include <stddef.h>
#include <stdint.h>

struct Port {
  void begin(unsigned long);
  void print(const char *text);
  void print(char letter);
  void println(const char *text = "");
  explicit operator bool() const { return true; }
};

static Port Serial;
static volatile char lastLetter;

inline void Port::begin(unsigned long) {}
inline void Port::print(const char *text) {
  while (*text) {
    print(*text++);
  }
}
inline void Port::print(char letter) { lastLetter = letter; }
inline void Port::println(const char *text) { print(text); }
inline void delay(unsigned long) {}

void setup();
void loop();

extern "C" __attribute__((used)) void begin() {
  setup();
  for (;;) {
    loop();
  }
}
