/* What the example needs of a machine: a place to print, and an end. */
#ifndef BOARD_H
#define BOARD_H

void put(const char *text);
void finish(int failed);

/* The program, which the machine's start code calls. A test puts another one before it, by another name. */
#ifndef RUN
#define RUN run
#endif
int run(void);
int RUN(void);

#endif
