#include "pyspy-record/target/procfile.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t procfile_read(const char *name, char *out, size_t size)
{
	out[0] = '\0';
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	size_t n = 0;
	while (n < size - 1) {
		ssize_t got = read(fd, out + n, size - 1 - n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0) {
			int error_number = errno;
			close(fd);
			errno = error_number;
			return -1;
		}
		if (got == 0)
			break;
		n += (size_t)got;
	}
	close(fd);
	out[n] = '\0';
	return (ssize_t)n;
}

bool procfile_number(const char *text, const char *key, int index, int base, uint64_t *v)
{
	size_t n = strlen(key);
	for (const char *line = text; line; line = strchr(line, '\n'), line = line ? line + 1 : NULL) {
		if (strncmp(line, key, n) || line[n] != ':')
			continue;
		const char *p = line + n + 1;
		bool found = false;
		for (int i = 0; index < 0 || i <= index; i++) {
			while (*p == ' ' || *p == '\t')
				p++;
			if (!isxdigit((unsigned char)*p))
				break;
			char *end;
			uint64_t value = strtoull(p, &end, base);
			if (end == p)
				break;
			*v = value;
			p = end;
			found = index < 0 || i == index;
		}
		return found;
	}
	return false;
}
