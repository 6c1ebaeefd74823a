/* live_screen: the terminal, by ncurses: lines on it, keys from it, and its state as it was, on every way out.
 *
 * ncurses because the terminal is the user's own: what it understands is in terminfo, and a redraw over ssh shall be
 * what changed. One screen a program: ncurses has no more.
 * A deadly signal, and a terminal that takes nothing when we are told to end, restore it too (live_screen_rescue).
 */
#pragma once
#include "pyspy-report/live/live_lines.h"

/* Take the terminal: keys from `in`, the picture to `out`. 0; ERR_USAGE: ncurses knows no such terminal (TERM);
 * ERR_SYSTEM. */
int live_screen_open(int in, int out);
/* As it was before; what was on it is gone. Any number of times. */
void live_screen_close(void);
/* For signal handlers: the same without waiting for anything and without ncurses. */
void live_screen_rescue(void);
void live_screen_size(size_t *width, size_t *height);
/* It can show nothing but ASCII. */
bool live_screen_is_ascii(void);
void live_screen_draw(const struct live_lines *l);
/* The next key; LIVE_KEY_NONE: there is none. *resized: the size is another now. */
uint32_t live_screen_key(bool *resized);
