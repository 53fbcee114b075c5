/* The descriptor's name is NULL. */
#define NAME "null_descriptor"
#define DESCRIPTOR_NAME NULL
#include "base.h"
