/* action returns a positive number, which is no status. */
#define NAME "odd_status"
#define ACTION_STATUS 7
#include "base.h"
