/* The descriptor has another version than the manifest. */
#define NAME "version_mismatch"
#define DESCRIPTOR_VERSION "1.0.1"
#include "base.h"
