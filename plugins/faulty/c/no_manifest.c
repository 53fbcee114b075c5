/* No section .croupier. */
#define NAME "no_manifest"
#define NO_MANIFEST
#include "base.h"
