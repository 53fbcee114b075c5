/* init returns an error, with a text. */
#define NAME "init_fails"
#define INIT_STATUS CROUPIER_E_INTERNAL
#include "base.h"
