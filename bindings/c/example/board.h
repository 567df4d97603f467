/* What the example needs of a machine: a place to print, and an end. */
#ifndef BOARD_H
#define BOARD_H

void put(const char *text);
void finish(int failed);

/* The program, which the machine's start code calls. */
int run(void);

#endif
