/*
 * ext/input.h: the extension "croupier.input/1", by which a plugin takes turns of the open kinds
 * (event, command, result, message, admin and whatever comes later). Offered by the PLUGIN through
 * vtable.get_extension; without it such turns are refused with CROUPIER_E_UNSUPPORTED.
 */
#ifndef CROUPIER_EXT_INPUT_H
#define CROUPIER_EXT_INPUT_H

#include "../croupier_plugin.h"

#ifdef __cplusplus
extern "C" {
#endif

#define CROUPIER_EXT_INPUT "croupier.input/1"

typedef struct croupier_ext_input {
    uint32_t struct_size; /* sizeof(croupier_ext_input) */
    uint32_t reserved;    /* 0 */

    /* [call] A turn of kind turn->kind. Refuse kinds you do not know with CROUPIER_E_UNSUPPORTED. */
    croupier_status (*input)(void *game, void *session, const croupier_turn *turn, croupier_slice payload,
                             const croupier_sink *reply);
} croupier_ext_input;

#ifdef __cplusplus
}
#endif

#endif /* CROUPIER_EXT_INPUT_H */
