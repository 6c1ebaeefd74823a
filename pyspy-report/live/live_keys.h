/* live_keys: what a key does to the model. */
#pragma once
#include "pyspy-report/live/live_model.h"

enum live_key {
	LIVE_KEY_NONE = 0x110000, /* above all characters */
	LIVE_KEY_UP,
	LIVE_KEY_DOWN,
	LIVE_KEY_LEFT,
	LIVE_KEY_RIGHT,
	LIVE_KEY_PAGE_UP,
	LIVE_KEY_PAGE_DOWN,
	LIVE_KEY_HOME,
	LIVE_KEY_END,
	LIVE_KEY_ENTER,
	LIVE_KEY_ESCAPE,
	LIVE_KEY_BACKSPACE,
};

/* `key`: a character, or enum live_key. True: the rows have to be counted or ordered anew (live_model_look); the
 * screen has to be drawn in any case. */
bool live_keys_press(struct live_model *m, uint32_t key);
/* The help, a line each; NULL after the last. */
extern const char *const live_keys_help[];
