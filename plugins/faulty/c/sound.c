/* Nothing is spoilt: the proof that base.h itself is a plugin. */
#define NAME "sound"
#include "base.h"
