/* No symbol that looks like a plugin at all. */
#define NAME "missing_symbol"
#define SYMBOL something_else
#include "base.h"
