#include "pyspy-record/target/elf_names.h"

#include <stdlib.h>
#include <string.h>

enum {
	CHAIN_MAX = 4096,
	PIECE = 64 << 10,
	SYMBOLS_A_PIECE = PIECE / sizeof(Elf64_Sym),
	PLACES_MAX = 8,        /* a name may be the end of other names */
	TABLE_MAX = 256 << 20, /* bytes of one table that are read */
};

static bool take(const Elf64_Sym *sym, struct elf_symbol *wanted)
{
	if (sym->st_shndx == SHN_UNDEF || sym->st_value == 0 || ELF64_ST_TYPE(sym->st_info) == STT_TLS ||
	    (wanted->wanted_size && sym->st_size != wanted->wanted_size))
		return false;
	wanted->value = sym->st_value;
	wanted->size = sym->st_size;
	return true;
}

static bool is_named(const struct elf_source *s, const struct elf_dynamic *d, uint32_t name, const char *wanted)
{
	char text[ELF_NAME_MAX];
	size_t n = strlen(wanted) + 1;
	return n <= sizeof text && name < d->strsz && n <= d->strsz - name &&
	       elf_source_vaddr(s, d->strtab + name, text, n) && !memcmp(text, wanted, n);
}

static bool offer(const struct elf_source *s, const struct elf_dynamic *d, uint64_t index, struct elf_symbol *wanted)
{
	Elf64_Sym sym;
	return elf_source_vaddr(s, d->symtab + index * sizeof sym, &sym, sizeof sym) &&
	       is_named(s, d, sym.st_name, wanted->name) && take(&sym, wanted);
}

static void look_gnu(const struct elf_source *s, const struct elf_dynamic *d, const uint32_t head[4],
                     struct elf_symbol *wanted)
{
	uint32_t hash = 5381, at, word;
	uint64_t bloom, buckets = d->gnu_hash + 16 + UINT64_C(8) * head[2], chains = buckets + UINT64_C(4) * head[0];
	for (const char *c = wanted->name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	if (!elf_source_vaddr(s, d->gnu_hash + 16 + UINT64_C(8) * (hash / 64 % head[2]), &bloom, sizeof bloom) ||
	    !(bloom >> hash % 64 & 1) || !(bloom >> (hash >> (head[3] & 31)) % 64 & 1) ||
	    !elf_source_vaddr(s, buckets + UINT64_C(4) * (hash % head[0]), &at, sizeof at) || at < head[1])
		return;
	for (int i = 0; i < CHAIN_MAX && at >= head[1]; i++, at++) {
		if (!elf_source_vaddr(s, chains + UINT64_C(4) * (at - head[1]), &word, sizeof word))
			return;
		if (((word ^ hash) >> 1) == 0 && offer(s, d, at, wanted))
			return;
		if (word & 1)
			return;
	}
}

static void look_sysv(const struct elf_source *s, const struct elf_dynamic *d, const uint32_t head[2],
                      struct elf_symbol *wanted)
{
	uint32_t hash = 0, at;
	for (const char *c = wanted->name; *c; c++) {
		hash = (hash << 4) + (unsigned char)*c;
		uint32_t top = hash & 0xf0000000;
		hash = (hash ^ top >> 24) & ~top;
	}
	if (!elf_source_vaddr(s, d->hash + 8 + UINT64_C(4) * (hash % head[0]), &at, sizeof at))
		return;
	for (int i = 0; i < CHAIN_MAX && at != STN_UNDEF && at < head[1]; i++) {
		if (offer(s, d, at, wanted) ||
		    !elf_source_vaddr(s, d->hash + 8 + UINT64_C(4) * head[0] + UINT64_C(4) * at, &at, sizeof at))
			return;
	}
}

bool elf_names_hashed(const struct elf_source *s, const struct elf_dynamic *d, struct elf_symbol *symbols, size_t n)
{
	uint32_t head[4]; /* GNU: buckets, first symbol, bloom words, bloom shift; System V: buckets, symbols */
	if (!d->symtab || !d->strtab)
		return false;
	bool is_gnu = d->gnu_hash && elf_source_vaddr(s, d->gnu_hash, head, sizeof head) && head[0] && head[2];
	if (!is_gnu && !(d->hash && elf_source_vaddr(s, d->hash, head, 8) && head[0]))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (symbols[i].value)
			continue;
		if (is_gnu)
			look_gnu(s, d, head, &symbols[i]);
		else
			look_sysv(s, d, head, &symbols[i]);
	}
	return true;
}

/* Where in the string table a name is. */
struct places {
	uint32_t at[PLACES_MAX];
	size_t n;
};

static void find_places(const struct elf_source *s, const struct elf_table *t, const struct elf_symbol *symbols,
                        size_t n, struct places *places, char *piece)
{
	for (uint64_t from = 0; from < t->n_strings && from < TABLE_MAX; from += PIECE - ELF_NAME_MAX) {
		size_t some = t->n_strings - from < PIECE ? (size_t)(t->n_strings - from) : PIECE;
		if (!s->read(s->ctx, t->strings + from, piece, some))
			return;
		for (size_t i = 0; i < n; i++) {
			size_t length = strlen(symbols[i].name) + 1;
			if (symbols[i].value || length > ELF_NAME_MAX)
				continue;
			struct places *p = &places[i];
			for (char *at = piece; (at = memmem(at, some - (size_t)(at - piece), symbols[i].name, length));
			     at++) {
				uint32_t found = (uint32_t)(from + (uint64_t)(at - piece));
				if (p->n < PLACES_MAX && (p->n == 0 || p->at[p->n - 1] < found))
					p->at[p->n++] = found;
			}
		}
	}
}

void elf_names_listed(const struct elf_source *s, const struct elf_table *t, struct elf_symbol *symbols, size_t n)
{
	size_t missing = 0;
	for (size_t i = 0; i < n; i++)
		missing += symbols[i].value == 0;
	if (!t->size || !t->n_strings || t->at + t->size < t->at || t->strings + t->n_strings < t->strings || !missing)
		return;
	char *piece = malloc(PIECE);
	struct places *places = calloc(n, sizeof *places);
	size_t known = 0;
	if (piece && places)
		find_places(s, t, symbols, n, places, piece);
	for (size_t i = 0; places && i < n; i++)
		known += places[i].n;
	for (uint64_t from = 0; known && from < t->size && from < TABLE_MAX;
	     from += SYMBOLS_A_PIECE * sizeof(Elf64_Sym)) {
		uint64_t left = (t->size - from) / sizeof(Elf64_Sym);
		size_t some = left < SYMBOLS_A_PIECE ? (size_t)left : SYMBOLS_A_PIECE;
		if (!s->read(s->ctx, t->at + from, piece, some * sizeof(Elf64_Sym)))
			break;
		for (size_t k = 0; k < some; k++) {
			Elf64_Sym sym;
			memcpy(&sym, piece + k * sizeof sym, sizeof sym);
			for (size_t i = 0; i < n; i++)
				for (size_t j = 0; j < places[i].n && !symbols[i].value; j++)
					if (places[i].at[j] == sym.st_name)
						take(&sym, &symbols[i]);
		}
	}
	free(places);
	free(piece);
}
