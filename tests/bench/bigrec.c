/* bigrec: recordings of any size, for report.py; and what reading one costs at least.
 *
 *     bigrec write FILE SAMPLES THREADS BUSY STACKS DEPTH NEW REPEAT kernel|outside [SEED]
 *     bigrec decode FILE
 *     bigrec paths SAMPLES STACKS DEPTH NEW [SEED]
 *
 * write: SAMPLES samples of THREADS threads at 100 a second, BUSY of which run (the others sleep), through the
 * project's own encoder, in blocks of a second and epochs of ten minutes as the recorder writes them. STACKS different
 * stacks, each DEPTH frames deep, whose last NEW frames (on average) no stack had before it. All of them are met once;
 * then a thread that runs keeps its stack from one sample to the next with probability REPEAT, else goes on to one
 * nearby (0.6) or to any one, by Zipf's law (0.4).
 *
 * paths: the stacks of such samples of one thread on standard output, for writers of other formats: DEPTH numbers of
 * locations of four bytes each, the outermost first. Location n is line 1 + 3 * (n % 5) of function n / 5.
 *
 * decode: the file through format/decode with callbacks that do nothing. Nothing can be known of a file for less.
 */
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/decode.h"
#include "format/encode.h"

enum { FUNCTIONS = 4000, LINES = 5, LOCATIONS = FUNCTIONS * LINES, HZ = 100, EPOCH_BLOCKS = 600, THREADS_MAX = 256 };
#define S_NS    UINT64_C(1000000000)
#define GAP_NS  (S_NS / HZ)
#define BOOT_NS (1000 * S_NS)
#define REAL_NS INT64_C(1763795624000000000)

static uint64_t state;

static uint64_t any(uint64_t below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint64_t)((unsigned __int128)state * below >> 64);
}

static double part(void)
{
	return (double)(any(UINT64_C(1) << 53)) / 9007199254740992.0;
}

static void *must(void *p)
{
	if (p)
		return p;
	fprintf(stderr, "bigrec: out of memory\n");
	exit(1);
}

/* The call tree: nodes, of which `leaves` are the stacks that samples have. */
struct node {
	uint32_t parent, location, id, epoch; /* id: of that epoch (+ 1) */
};
struct world {
	struct node *nodes;
	uint32_t n_nodes, *leaves, n_stacks, depth;
	uint32_t next_leaf;
	/* the file */
	FILE *out;
	struct block_sealer *sealer;
	struct rec_block block;
	struct buf head, content, whole;
	struct encode_batch strings, functions, locations, stacks;
	uint32_t epoch, n_ids, n_strings;
	bool with_heads;
};

static void grow(struct world *w, uint32_t n_stacks, uint32_t depth, double new_frames)
{
	size_t room = (size_t)((double)n_stacks * (new_frames + 1) * 1.2) + 4 * depth + 16;
	uint32_t *path = must(calloc(depth + 1, sizeof *path));

	w->nodes = must(calloc(room, sizeof *w->nodes));
	w->leaves = must(calloc(n_stacks, sizeof *w->leaves));
	w->n_nodes = 1;
	w->n_stacks = n_stacks;
	w->depth = depth;
	for (uint32_t i = 0; i < n_stacks; i++) {
		/* geometric, at least 1 */
		double more = new_frames > 1 ? log(1 - part()) / log(1 - 1 / new_frames) : 0;
		uint32_t fresh = more >= depth - 1 ? depth : 1 + (uint32_t)more, keep = i ? depth - fresh : 0;

		/* the stack before, or any one of before: its outer frames */
		if (i) {
			uint32_t at = w->leaves[any(4) ? i - 1 : any(i)];
			for (uint32_t k = depth; k > 0; k--, at = w->nodes[at].parent)
				path[k] = at;
		}
		for (uint32_t k = keep + 1; k <= depth; k++) {
			if (w->n_nodes >= room)
				must(NULL);
			w->nodes[w->n_nodes] =
			    (struct node){.parent = k > 1 ? path[k - 1] : 0, .location = 1 + (uint32_t)any(LOCATIONS)};
			path[k] = w->n_nodes++;
		}
		w->leaves[i] = path[depth];
	}
	free(path);
}

static str_id text(struct world *w, const char *s)
{
	encode_add_string(&w->strings, ++w->n_strings, s, strlen(s));
	return w->n_strings;
}

static void put_head(struct world *w, bool is_kernel, uint32_t threads)
{
	char s[200];
	struct rec_recording r = {.host = text(w, "bench"),
	                          .kernel = text(w, "6.1.0"),
	                          .machine = text(w, "x86_64"),
	                          .boot_id = text(w, "0"),
	                          .recorder = text(w, "bigrec"),
	                          .mean_gap_ns = GAP_NS,
	                          .engine = is_kernel,
	                          .kernel_hz = 250,
	                          .started_ns = BOOT_NS};
	str_id cmdline[] = {text(w, "python3"), text(w, "big.py")};
	struct rec_process p = {.id = 1,
	                        .pid = 4711,
	                        .ns_pid = 4711,
	                        .seen_ns = BOOT_NS,
	                        .version_hex = 0x030d00f0,
	                        .version = text(w, "3.13.0"),
	                        .exe = text(w, "/usr/bin/python3"),
	                        .cwd = text(w, "/srv/app"),
	                        .prefix = text(w, "/usr"),
	                        .base_prefix = 0,
	                        .cmdline = cmdline,
	                        .n_cmdline = 2};
	str_id path[] = {text(w, "/srv/app"), text(w, "/usr/lib/python3.13")};

	p.base_prefix = p.prefix;
	p.sys_path = path;
	p.n_sys_path = 2;
	encode_recording(&w->head, &r);
	encode_process(&w->content, &p);
	for (uint32_t i = 1; i <= threads; i++) {
		snprintf(s, sizeof s, "worker-%u", i);
		encode_thread(&w->content, &(struct rec_thread){.id = i,
		                                                .process = 1,
		                                                .tid = 4710 + i,
		                                                .ns_tid = 4710 + i,
		                                                .start_ns = BOOT_NS - i,
		                                                .name = i == 1 ? text(w, "MainThread") : text(w, s),
		                                                .flags = i == 1});
	}
	for (uint32_t i = 1; i <= FUNCTIONS; i++) {
		struct rec_function f = {.first_line = 10 + i % 900};

		snprintf(s, sizeof s, "app.part%u.module%u", i / 400, i / 20);
		f.module = text(w, s);
		snprintf(s, sizeof s, "Class%u.method_%u", i / 7, i);
		f.qualname = text(w, s);
		snprintf(s, sizeof s, "%s/part%u/module%u.py",
		         i % 3 ? "/srv/app" : "/usr/lib/python3.13/site-packages/big", i / 400, i / 20);
		f.file = text(w, s);
		encode_add_function(&w->functions, i, &f);
		for (uint32_t k = 0; k < LINES; k++)
			encode_add_location(&w->locations, (i - 1) * LINES + k + 1,
			                    &(struct rec_location){.function = i,
			                                           .has_line = true,
			                                           .line = (int32_t)(f.first_line + 1 + 3 * k),
			                                           .end_line = (int32_t)(f.first_line + 1 + 3 * k),
			                                           .has_columns = true,
			                                           .column = 8,
			                                           .end_column = 30},
			                    f.first_line);
	}
}

/* The id of a stack in this epoch; defined, with its callers, when it was not yet. */
static stack_id id_of(struct world *w, uint32_t node)
{
	static uint32_t *todo;
	size_t n = 0;

	if (!todo)
		todo = must(malloc((w->depth + 1) * sizeof *todo));
	for (uint32_t at = node; at && (w->nodes[at].epoch != w->epoch + 1); at = w->nodes[at].parent)
		todo[n++] = at;
	while (n) {
		struct node *k = &w->nodes[todo[--n]];

		k->id = ++w->n_ids;
		k->epoch = w->epoch + 1;
		encode_add_stack(&w->stacks, k->id,
		                 &(struct rec_stack){k->parent ? w->nodes[k->parent].id : 0, k->location, true});
	}
	return w->nodes[node].id;
}

/* Zipf's law with exponent 1.1, the ranks scattered over all stacks. */
static uint32_t zipf(const struct world *w)
{
	double n = w->n_stacks, x = pow((pow(n, -0.1) - 1) * part() + 1, -10);
	uint64_t rank = x >= n ? w->n_stacks - 1 : (uint64_t)x;

	return (uint32_t)(rank * 2654435761u % w->n_stacks);
}

/* Where a thread goes on from stack number `from`. */
static uint32_t take(struct world *w, uint32_t from)
{
	uint32_t far = 1;

	if (w->next_leaf < w->n_stacks)
		return w->next_leaf++;
	if (any(10) >= 6)
		return zipf(w);
	while (any(4))
		far++;
	return (uint32_t)(((uint64_t)from + (any(2) ? far : w->n_stacks - far % w->n_stacks)) % w->n_stacks);
}

static void put(struct world *w, struct buf *b)
{
	if (b->err || fwrite(b->data, 1, b->len, w->out) != b->len) {
		perror("bigrec");
		exit(1);
	}
	buf_reset(b);
}

static void seal(struct world *w, uint64_t n_samples, uint32_t n_ticks, bool is_last)
{
	struct buf frame;

	buf_init(&frame, 0);
	buf_put(&w->whole, w->head.data, w->head.len);
	encode_batch_flush(&w->strings, WIRE_STRINGS, &w->whole);
	encode_batch_flush(&w->functions, WIRE_FUNCTIONS, &w->whole);
	encode_batch_flush(&w->locations, WIRE_LOCATIONS, &w->whole);
	encode_batch_flush(&w->stacks, WIRE_STACKS, &w->whole);
	buf_put(&w->whole, w->content.data, w->content.len);
	w->block.n_samples = n_samples;
	w->block.n_ticks = n_ticks;
	w->block.flags |= is_last ? WIRE_BLOCK_LAST : 0;
	if (w->whole.err || block_seal(w->sealer, &w->block, w->whole.data, w->whole.len, &frame)) {
		fprintf(stderr, "bigrec: a block of %zu bytes cannot be sealed\n", w->whole.len);
		exit(1);
	}
	put(w, &frame);
	buf_done(&frame);
	buf_reset(&w->head);
	buf_reset(&w->content);
	buf_reset(&w->whole);
	w->block.flags = 0;
	w->block.sequence++;
	w->block.samples_before += n_samples;
	w->block.begin_ns = w->block.end_ns;
	w->block.end_ns += S_NS;
}

static int run_write(char **a)
{
	uint64_t want = strtoull(a[3], NULL, 10), done = 0, times[HZ];
	uint32_t threads = (uint32_t)atoi(a[4]), busy = (uint32_t)atoi(a[5]), now[THREADS_MAX] = {0};
	bool holds[THREADS_MAX] = {0}, is_kernel = strcmp(a[10], "kernel") == 0;
	double repeat = atof(a[9]);
	static struct rec_entry entries[HZ * THREADS_MAX];
	static struct rec_event events[HZ * THREADS_MAX];
	struct world w = {.out = must(fopen(a[2], "wb")), .sealer = must(block_sealer_new(1))};
	struct rec_file file = {
	    .major = WIRE_MAJOR, .minor = WIRE_MINOR, .realtime_ns = REAL_NS, .boottime_ns = BOOT_NS};

	state = a[11] ? strtoull(a[11], NULL, 10) * 2654435769u + 1 : 88172645463325252u;
	threads = threads > THREADS_MAX - 1 ? THREADS_MAX - 1 : threads;
	grow(&w, (uint32_t)atoi(a[6]), (uint32_t)atoi(a[7]), atof(a[8]));
	memset(file.uuid, 7, sizeof file.uuid);
	w.block =
	    (struct rec_block){.begin_ns = BOOT_NS, .end_ns = BOOT_NS + S_NS, .anchor_ns = REAL_NS - (int64_t)BOOT_NS};
	memset(w.block.uuid8, 7, sizeof w.block.uuid8);
	encode_batch_init(&w.strings);
	encode_batch_init(&w.functions);
	encode_batch_init(&w.locations);
	encode_batch_init(&w.stacks);
	encode_file_header(&w.whole, &file);
	put(&w, &w.whole);
	for (uint32_t b = 0; done < want; b++) {
		uint32_t n_entries = 0, n_events = 0, n_ticks = 0;
		uint64_t n = 0;

		if (b % EPOCH_BLOCKS == 0) {
			w.epoch = b / EPOCH_BLOCKS;
			w.block.epoch = w.epoch;
			w.block.flags |= WIRE_BLOCK_EPOCH;
			w.n_ids = w.n_strings = 0;
			put_head(&w, is_kernel, threads);
		}
		for (; n_ticks < HZ && done + n < want; n_ticks++, n += threads) {
			times[n_ticks] = w.block.begin_ns + n_ticks * GAP_NS + any(GAP_NS);
			for (uint32_t t = 1; t <= threads; t++) {
				bool runs = t <= busy, is_new = !now[t] || (runs && part() >= repeat);
				uint32_t flags = runs ? WIRE_STATE_ON_CPU | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT
				                      : WIRE_STATE_SLEEPING | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT;

				if (is_new)
					now[t] = take(&w, now[t] - 1) + 1;
				if (is_new)
					holds[t] = runs && any(busy) == 0;
				flags |= holds[t] ? WIRE_FLAG_GIL : 0;
				if (is_kernel)
					events[n_events++] =
					    (struct rec_event){times[n_ticks], t, id_of(&w, w.leaves[now[t] - 1]),
					                       flags, GAP_NS / 2 + any(GAP_NS)};
				else if (is_new || runs || n_ticks == 0)
					entries[n_entries++] =
					    (struct rec_entry){.tick = n_ticks,
					                       .thread = t,
					                       .stack = id_of(&w, w.leaves[now[t] - 1]),
					                       .has_stack = true,
					                       .flags = flags,
					                       .cpu_ns = runs && n_ticks ? GAP_NS * 3 / 4 : 0};
			}
		}
		if (is_kernel)
			encode_events(&w.content, &(struct rec_events){1000, 1000, events, n_events});
		else
			encode_ticks(&w.content, &(struct rec_ticks){.unit_ns = 1000,
			                                             .cpu_unit_ns = 1000,
			                                             .times_ns = times,
			                                             .n_ticks = n_ticks,
			                                             .entries = entries,
			                                             .n_entries = n_entries});
		done += n;
		seal(&w, n, is_kernel ? 0 : n_ticks, done >= want);
	}
	if (fclose(w.out) != 0) {
		perror("bigrec");
		return 1;
	}
	printf("%llu samples, %u stacks, %u nodes, depth %u\n", (unsigned long long)done, w.n_stacks, w.n_nodes - 1,
	       w.depth);
	return 0;
}

static int run_paths(char **a)
{
	uint64_t samples = strtoull(a[2], NULL, 10);
	static struct world w; /* until the end */
	uint32_t now = 0;

	state = a[6] ? strtoull(a[6], NULL, 10) * 2654435769u + 1 : 88172645463325252u;
	grow(&w, (uint32_t)atoi(a[3]), (uint32_t)atoi(a[4]), atof(a[5]));
	static uint32_t *path;
	path = must(calloc(w.depth + 1, sizeof *path));
	for (uint64_t i = 0; i < samples; i++) {
		now = take(&w, now);
		uint32_t at = w.leaves[now];
		for (uint32_t k = w.depth; k-- > 0; at = w.nodes[at].parent)
			path[k] = w.nodes[at].location - 1;
		if (fwrite(path, sizeof *path, w.depth, stdout) != w.depth)
			return 1;
	}
	return fflush(stdout) != 0;
}

/* ---- decode */

static uint64_t seen;

static int on_string(void *c, str_id i, const char *s, size_t n)
{
	seen += n;
	return 0;
}
static int on_function(void *c, function_id i, const struct rec_function *f)
{
	seen++;
	return 0;
}
static int on_location(void *c, location_id i, const struct rec_location *l)
{
	seen++;
	return 0;
}
static int on_stack(void *c, stack_id i, const struct rec_stack *s)
{
	seen++;
	return 0;
}
static int on_thread(void *c, const struct rec_thread *t)
{
	seen++;
	return 0;
}
static int on_process(void *c, const struct rec_process *p)
{
	seen++;
	return 0;
}
static int on_recording(void *c, const struct rec_recording *r)
{
	seen++;
	return 0;
}
static int on_ticks(void *c, const struct rec_ticks *t)
{
	seen += t->n_entries;
	return 0;
}
static int on_events(void *c, const struct rec_events *e)
{
	seen += e->n_events;
	return 0;
}

static int run_decode(const char *path)
{
	static unsigned char chunk[256 << 10];
	struct stream *s = must(stream_new(&(struct decode_visitor){.string = on_string,
	                                                            .function = on_function,
	                                                            .location = on_location,
	                                                            .stack = on_stack,
	                                                            .thread = on_thread,
	                                                            .process = on_process,
	                                                            .recording = on_recording,
	                                                            .ticks = on_ticks,
	                                                            .events = on_events}));
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n;

	if (fd < 0) {
		perror(path);
		return 1;
	}
	while (!rc && (n = read(fd, chunk, sizeof chunk)) > 0)
		rc = stream_feed(s, chunk, (size_t)n);
	if (!rc)
		rc = stream_finish(s);
	stream_free(s);
	close(fd);
	printf("%llu\n", (unsigned long long)seen);
	return rc != 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "decode") == 0)
		return run_decode(argv[2]);
	if ((argc == 11 || argc == 12) && strcmp(argv[1], "write") == 0)
		return run_write(argv);
	if ((argc == 6 || argc == 7) && strcmp(argv[1], "paths") == 0)
		return run_paths(argv);
	fprintf(stderr, "usage: bigrec write FILE SAMPLES THREADS BUSY STACKS DEPTH NEW REPEAT kernel|outside [SEED] | "
	                "decode FILE | paths SAMPLES STACKS DEPTH NEW [SEED]\n");
	return 2;
}
