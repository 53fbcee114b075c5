/* The descriptor has another state version than the manifest. */
#define NAME "state_version_mismatch"
#define STATE_VERSION 2
#include "base.h"
