/* The descriptor ends before its version. */
#define NAME "wrong_descriptor_size"
#define DESCRIPTOR_SIZE 16
#include "base.h"
