/* Built for another major version of the contract: its symbol has another name. */
#define NAME "wrong_major"
#define SYMBOL croupier_plugin_v2
#include "base.h"
