/* A function that no library has: dlopen fails. */
#define NAME "undefined_symbol"
#define ACTION undefined_action
#include "croupier_plugin.h"

extern croupier_status undefined_action(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                                        const croupier_sink *reply);

#include "base.h"
