/* The descriptor has another name than the manifest. */
#define NAME "name_mismatch"
#define DESCRIPTOR_NAME "somebody_else"
#include "base.h"
