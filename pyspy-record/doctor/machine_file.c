/* Where we are, and what our own file gives us. */
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <endian.h>

#include "pyspy-record/doctor/machine_parts.h"
#include "pyspy-record/target/procfile.h"

/* security.capability: struct vfs_ns_cap_data of linux/capability.h, little-endian. */
static bool file_capabilities(const char *path, uint64_t *permitted, bool *effective, uint32_t *root)
{
	uint32_t words[6] = {0};
	ssize_t n = getxattr(path, "security.capability", words, sizeof words);
	if (n < 12)
		return false;
	uint32_t magic = le32toh(words[0]);
	*permitted = le32toh(words[1]) | (n >= 20 ? (uint64_t)le32toh(words[3]) << 32 : 0);
	*effective = magic & VFS_CAP_FLAGS_EFFECTIVE;
	*root = n >= 24 ? le32toh(words[5]) : 0;
	return true;
}

static void capability_names(uint64_t set, char *out, size_t size)
{
	static const struct {
		int cap;
		const char *name;
	} known[] = {{CAP_SYS_PTRACE, "cap_sys_ptrace"},
	             {MACHINE_BPF, "cap_bpf"},
	             {MACHINE_PERFMON, "cap_perfmon"},
	             {CAP_SYS_ADMIN, "cap_sys_admin"},
	             {CAP_SYS_RESOURCE, "cap_sys_resource"}};
	size_t n = 0;
	out[0] = '\0';
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		uint64_t bit = UINT64_C(1) << known[i].cap;
		if ((set & bit) && n < size)
			n += (size_t)snprintf(out + n, size - n, "%s%s", n ? "," : "", known[i].name);
		set &= ~bit;
	}
	if (set && n < size)
		snprintf(out + n, size - n, "%sothers (0x%llx)", n ? "," : "", (unsigned long long)set);
}

void machine_examine_file(const struct machine *m, struct findings *f)
{
	const char *path = remedy_own_file();
	uint64_t permitted;
	bool effective;
	uint32_t root;
	char names[256];
	struct statvfs fs;
	bool nosuid = statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID);
	if (!file_capabilities(path, &permitted, &effective, &root)) {
		findings_add(f, "file_capabilities", FINDING_OK, 0, "getxattr(2), statvfs(2) of our own file",
		             "%s has no file capabilities%s", path,
		             nosuid ? ", and they would have no effect: it is mounted nosuid" : "");
		return;
	}
	capability_names(permitted, names, sizeof names);
	uint64_t missing = permitted & ~m->permitted;
	if (!missing && (!permitted || effective || (permitted & ~m->effective) == 0)) {
		findings_add(f, "file_capabilities", FINDING_OK, 0,
		             "getxattr(2) of our own file, /proc/self/status: CapPrm",
		             "%s has %s, and they took effect", path, names);
		return;
	}
	const char *why = nosuid                     ? "it is on a file system that is mounted nosuid"
	                  : m->no_new_privs          ? "no_new_privs is set"
	                  : root                     ? "they are for another user namespace"
	                  : !m->first_user_namespace ? "we are in a user namespace"
	                  : missing ? "they are not in the bounding set, or whoever traces us has them not"
	                            : "they are permitted only: set them with +ep";
	findings_add(f, "file_capabilities", FINDING_WARNING,
	             nosuid    ? REMEDY_NOSUID
	             : missing ? 0
	                       : REMEDY_SETCAP,
	             "getxattr(2), statvfs(2) of our own file, /proc/self/status: CapPrm CapEff",
	             "%s has %s, but they took no effect: %s", path, names, why);
}

static bool is_there(const char *file)
{
	return access(file, F_OK) == 0;
}

void machine_examine_container(struct machine *m, struct findings *f)
{
	static const struct {
		const char *word, *name;
	} groups[] = {{"kubepods", "Kubernetes"},
	              {"docker", "docker"},
	              {"libpod", "podman"},
	              {"lxc", "LXC"},
	              {"containerd", "containerd"}};
	char text[16384];
	const char *source = "/.dockerenv, /run/.containerenv, /proc/1/cgroup, the environment";
	const char *name = NULL, *by = getenv("container");
	if (getenv("KUBERNETES_SERVICE_HOST")) {
		name = "Kubernetes";
		source = "KUBERNETES_SERVICE_HOST of the environment";
	} else if (is_there("/.dockerenv")) {
		name = "docker";
		source = "/.dockerenv";
	} else if (is_there("/run/.containerenv")) {
		name = "podman";
		source = "/run/.containerenv";
	} else if (procfile_read("/proc/1/cgroup", text, sizeof text) > 0) {
		for (size_t i = 0; i < sizeof groups / sizeof *groups && !name; i++)
			if (strstr(text, groups[i].word)) {
				name = groups[i].name;
				source = "/proc/1/cgroup";
			}
	}
	if (!name && by && *by) {
		name = by;
		source = "`container` of the environment";
	}
	snprintf(m->container, sizeof m->container, "%s", name ? name : "");
	findings_add(f, "container", FINDING_OK, 0, source,
	             name ? "we are in a container (%s)" : "no sign of a container", name);
}
