/* This computer. */
#include "board.h"

#include <stdio.h>
#include <stdlib.h>

void put(const char *text) { fputs(text, stdout); }

void finish(int failed) { exit(failed); }

int main(void) { finish(run()); }
