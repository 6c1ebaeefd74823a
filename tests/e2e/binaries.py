"""Interpreters that are made or bent for tests of finding them: programs with Python inside, built from the library of a
real one, and files without symbols or section headers."""
import glob
import os
import shutil
import struct
import subprocess

import harness as h

CC = os.environ.get("CC", "cc")
LIBS = ["-lpthread", "-ldl", "-lutil", "-lm"]


def run(*cmd):
    got = subprocess.run([str(c) for c in cmd], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300)
    if got.returncode:
        raise h.Failure("%s: %s" % (" ".join(map(str, cmd)), got.stdout.decode("utf-8", "replace")[-600:]))
    return got.stdout.decode("utf-8", "replace")


def need(*tools):
    for t in tools:
        if not shutil.which(t):
            raise h.Skip("%s is not here" % t)


def sstrip(path):
    """no section headers, nothing behind the last segment"""
    with open(path, "r+b") as f:
        b = bytearray(f.read())
        phoff, = struct.unpack_from("<Q", b, 32)
        phentsize, phnum = struct.unpack_from("<HH", b, 54)
        end = phoff + phentsize * phnum
        for i in range(phnum):
            offset, = struct.unpack_from("<Q", b, phoff + i * phentsize + 8)
            filesz, = struct.unpack_from("<Q", b, phoff + i * phentsize + 32)
            end = max(end, offset + filesz)
        struct.pack_into("<Q", b, 40, 0)
        struct.pack_into("<HHH", b, 58, 0, 0, 0)
        f.seek(0)
        f.write(b[:end])
        f.truncate(end)


def bend(path, how):
    os.chmod(path, 0o755)
    if "strip" in how:
        need("strip")
        run("strip", path)
    if how == "sstrip":
        sstrip(path)


def library(py):
    """the shared library of a pyenv interpreter; None when it is static"""
    folder = os.path.join(os.path.dirname(os.path.dirname(py.path)), "lib")
    for name in sorted(os.listdir(folder)):
        if name.startswith("libpython%d.%d" % py.version[:2]) and name.endswith(".so.1.0"):
            return os.path.join(folder, name)
    return None


def archive(py):
    prefix = os.path.dirname(os.path.dirname(py.path))
    got = glob.glob(os.path.join(prefix, "lib", "python%d.%d" % py.version[:2], "config*", "libpython*.a"))
    if not got:
        raise h.Skip("%s has no libpython.a" % py)
    return got[0]


def sites(py):
    return ["-DNOSITE"] if py.version < (3,) else []


def home(py):
    return {"PYTHONHOME": os.path.dirname(os.path.dirname(py.path))}


PROGRAM = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef DLOPEN
static void (*Py_Initialize)(void);
static int (*PyRun_SimpleStringFlags)(const char *, void *);
static const char *library;
#else
void Py_Initialize(void);
int PyRun_SimpleStringFlags(const char *, void *);
#endif
#ifdef COPIED /* a program that is no PIE gets a copy of the variable, and the library uses that */
extern void *_PyThreadState_Current;
void *use(void) { return _PyThreadState_Current; }
#endif
#ifdef NOSITE /* site loads modules that bring the shared library */
extern int Py_NoSiteFlag;
#endif
static const char *script, *argument = "";
static void *python(void *unused)
{
	char text[9000];
#ifdef DLOPEN
	void *lib = dlopen(library, RTLD_NOW | RTLD_GLOBAL);
	if (!lib) { fprintf(stderr, "%s\n", dlerror()); exit(9); }
#ifdef HOSTED
	void (*host)(const char *) = (void (*)(const char *))dlsym(lib, "plugin_run");
	host(script);
	return unused;
#else
	Py_Initialize = (void (*)(void))dlsym(lib, "Py_Initialize");
	PyRun_SimpleStringFlags = (int (*)(const char *, void *))dlsym(lib, "PyRun_SimpleStringFlags");
#endif
#endif
#ifndef HOSTED
	snprintf(text, sizeof text, "import sys; sys.argv = ['x', '%s']; exec(compile(open('%s').read(), '%s', 'exec'))", argument, script, script);
#ifdef NOSITE
	Py_NoSiteFlag = 1;
#endif
	Py_Initialize();
	exit(PyRun_SimpleStringFlags(text, NULL) ? 8 : 0);
#endif
}
static void *idle(void *unused) { for (;;) pause(); return unused; }
int main(int argc, char **argv)
{
	pthread_t t;
	script = argv[1];
#ifdef DLOPEN
	library = argv[2];
#else
	argument = argc > 2 ? argv[2] : "";
#endif
#ifdef SECOND /* Python in a thread that is not the first, beside another that never sees it */
	pthread_create(&t, NULL, idle, NULL);
	pthread_create(&t, NULL, python, NULL);
	pthread_join(t, NULL);
#else
	(void)t; (void)idle;
	python(NULL);
#endif
	return argc > 9;
}
"""
PLUGIN = r"""
#include <stdio.h>
#include <stdlib.h>
void Py_Initialize(void);
int PyRun_SimpleStringFlags(const char *, void *);
#ifdef NOSITE
extern int Py_NoSiteFlag;
#endif
__attribute__((visibility("default"))) void plugin_run(const char *script)
{
	char text[9000];
	snprintf(text, sizeof text, "import sys; sys.argv = ['x']; exec(compile(open('%s').read(), '%s', 'exec'))", script, script);
#ifdef NOSITE
	Py_NoSiteFlag = 1;
#endif
	Py_Initialize();
	exit(PyRun_SimpleStringFlags(text, NULL) ? 8 : 0);
}
"""


def compile(folder, name, source, *flags):
    need(CC)
    c = os.path.join(folder, name + ".c")
    with open(c, "w") as f:
        f.write(source)
    out = os.path.join(folder, name)
    run(CC, "-O1", "-w", "-o", out, c, *flags)
    return out
