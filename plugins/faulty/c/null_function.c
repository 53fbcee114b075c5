/* A mandatory function is NULL. */
#define NAME "null_function"
#define ACTION NULL
#include "base.h"
