/* session_open says OK and gives no session. */
#define NAME "null_session"
#define SESSION NULL
#include "base.h"
