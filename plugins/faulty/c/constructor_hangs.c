/* The ELF constructor never returns. */
#define NAME "constructor_hangs"
#include "base.h"

__attribute__((constructor)) static void hang(void)
{
    volatile int turning = 1;
    while (turning) {
    }
}
