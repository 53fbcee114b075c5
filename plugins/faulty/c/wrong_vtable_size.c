/* The vtable ends before its mandatory functions. */
#define NAME "wrong_vtable_size"
#define VTABLE_SIZE 24
#include "base.h"
