/* action tries to read a file, which a jail does not allow; it says what came of it. */
#define NAME "opens_file"
#define ACTION opens_file_action
#include <stdio.h>

#include "croupier_plugin.h"

static croupier_status opens_file_action(void *game, void *session, const croupier_turn *turn,
                                         croupier_slice payload, const croupier_sink *reply)
{
    FILE *file = fopen("/etc/passwd", "r");
    const char *text = file ? "\"open\"" : "\"refused\"";
    (void)game;
    (void)session;
    (void)turn;
    (void)payload;
    if (file)
        fclose(file);
    return reply->write(reply->ctx, (const uint8_t *)text, file ? 6 : 9);
}

#include "base.h"
