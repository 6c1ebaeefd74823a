#include "pyspy-record/view_formats.h"

#include <string.h>
#include <strings.h>

enum { FLAMEGRAPH, HTML, SPEEDSCOPE, RAW, CHROMETRACE, PPROF, FIREFOX, NONE };

const struct view_format view_formats[] = {
    [FLAMEGRAPH] = {"flamegraph", "flamegraph", ".svg", false},
    [HTML] = {"html", "flamegraph", ".html", false, "--format=html"},
    [SPEEDSCOPE] = {"speedscope", "speedscope", ".speedscope.json", false},
    [RAW] = {"raw", "raw", ".folded", false},
    [CHROMETRACE] = {"chrometrace", "chrometrace", ".trace.json", false},
    [PPROF] = {"pprof", "pprof", ".pb.gz", true},
    [FIREFOX] = {"firefox", "firefox", ".firefox.json", false},
    [NONE] = {0},
};

/* A suffix that ends with another one stands before it. */
static const struct {
	const char *suffix;
	int format;
	const char *refused;
} suffixes[] = {
    {".svg", FLAMEGRAPH, NULL},
    {".speedscope.json", SPEEDSCOPE, NULL},
    {".trace.json", CHROMETRACE, NULL},
    {".firefox.json", FIREFOX, NULL},
    {".json", SPEEDSCOPE, NULL},
    {".folded", RAW, NULL},
    {".txt", RAW, NULL},
    {".pb.gz", PPROF, NULL},
    {".pprof", PPROF, NULL},
    {".html", HTML, NULL},
    {".htm", HTML, NULL},
    {".csv", NONE, "top"},
};
enum { N_SUFFIXES = sizeof suffixes / sizeof *suffixes };

const struct view_format *view_format_named(const char *name)
{
	for (const struct view_format *f = view_formats; f->name; f++)
		if (!strcmp(f->name, name))
			return f;
	return NULL;
}

static size_t find(const char *path)
{
	size_t n = strlen(path), i = 0;
	for (; i < N_SUFFIXES; i++) {
		size_t m = strlen(suffixes[i].suffix);
		if (n >= m && !strcasecmp(path + n - m, suffixes[i].suffix))
			break;
	}
	return i;
}

const struct view_format *view_format_of_file(const char *path, const char **refused)
{
	size_t i = find(path);
	*refused = i < N_SUFFIXES ? suffixes[i].refused : NULL;
	return i < N_SUFFIXES && suffixes[i].format != NONE ? &view_formats[suffixes[i].format] : NULL;
}

size_t view_format_stem(const char *path)
{
	size_t i = find(path);
	return strlen(path) - (i < N_SUFFIXES ? strlen(suffixes[i].suffix) : 0);
}
