/* The plugin struct claims to be smaller than version 1.0 of the contract. */
#define NAME "wrong_size"
#define PLUGIN_SIZE 8
#include "base.h"
