/* The manifest is no TOML. */
#define NAME "bad_manifest"
#define MANIFEST "manifest = = 1\n"
#include "base.h"
