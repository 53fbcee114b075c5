/* The ELF constructor crashes: plugin code that runs before the symbol can be looked at. */
#define NAME "constructor_crashes"
#include "base.h"

#include <stdlib.h>

__attribute__((constructor)) static void crash(void)
{
    abort();
}
