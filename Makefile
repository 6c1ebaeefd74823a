# pyspy: `make help` lists the targets. Sources are found by room (wildcard): adding a file is adding a file.
BUILD ?= release
CC ?= cc
AR ?= ar
PREFIX ?= /usr/local
DESTDIR ?=
PKG_CONFIG ?= pkg-config
CLANG ?= clang
V ?= 0
VERSION := 0.1.0

ifeq ($(BUILD),release)
  FLAVOUR := -O2 -g
else ifeq ($(BUILD),debug)
  FLAVOUR := -O0 -g3
else ifeq ($(BUILD),asan)
  FLAVOUR := -O1 -g -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
else ifeq ($(BUILD),tsan)
  FLAVOUR := -O1 -g -fsanitize=thread
else ifeq ($(BUILD),coverage)
  FLAVOUR := -O0 -g --coverage
else
  $(error BUILD=$(BUILD) is no flavour: one of release debug asan tsan coverage)
endif

# release builds live in build/, the others in build/FLAVOUR/, so that flavours never mix
O := build$(if $(filter release,$(BUILD)),,/$(BUILD))
OBJ := $(O)/obj
MSG = $(if $(filter 1,$(V)),,@printf '  %-7s %s\n' "$(1)" "$(2)";)
Q = $(if $(filter 1,$(V)),,@)

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wvla -Wundef -Wformat=2 -Wno-unused-parameter -Wno-format-nonliteral
ifeq ($(WERROR),1)
  WARN += -Werror
endif
CFLAGS ?=
ALL_CPPFLAGS = -I. -D_GNU_SOURCE -DPYSPY_VERSION='"$(VERSION)"' -DPYSPY_HAS_KERNEL_ENGINE=$(if $(BPF_MISSING),0,1) $(CPPFLAGS)
ALL_CFLAGS = -std=gnu17 $(WARN) $(FLAVOUR) $(LIB_CFLAGS) $(CFLAGS)

# --- what must be there, asked for only by goals that compile in this make (demo, check etc. install first, then
# --- call make again); everything that is missing is named in one sentence
NO_COMPILE := help clean uninstall install-deps demo check check-full bench coverage matrix lint format
COMPILING := $(if $(MAKECMDGOALS),$(filter-out $(NO_COMPILE),$(MAKECMDGOALS)),all)
ifneq ($(COMPILING),)
  lib = $(if $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo yes),,$(2))
  tool = $(if $(shell command -v $(firstword $(1)) 2>/dev/null),,$(2))
  MISSING := $(strip $(call tool,$(CC),gcc) $(or $(call tool,$(PKG_CONFIG),pkg-config),\
    $(call lib,libzstd,libzstd-dev) $(call lib,libelf,libelf-dev) $(call lib,jansson,libjansson-dev) $(call lib,zlib,zlib1g-dev) $(call lib,sqlite3,libsqlite3-dev) $(call lib,ncursesw,libncurses-dev)\
    $(if $(filter check-unit unit,$(COMPILING)),$(call lib,cmocka,libcmocka-dev))))
  $(if $(MISSING),$(error Missing: $(MISSING) (`scripts/install-deps build` installs it on Debian and Ubuntu, and names the packages of other systems)))
  LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags libzstd libelf jansson zlib sqlite3) $(filter-out -D_XOPEN_SOURCE=% -D_DEFAULT_SOURCE,$(shell $(PKG_CONFIG) --cflags ncursesw))
  RECORD_LIBS := $(shell $(PKG_CONFIG) --libs libzstd libelf) -lm -pthread
  # Linked statically, where the libraries are there as archives, it starts 0.2 ms sooner, takes 1.3 MB less memory, and runs in any container.
  STATIC ?= $(if $(filter release,$(BUILD)),auto,no)
  STATIC_LIBS := $(shell $(PKG_CONFIG) --static --libs libzstd libelf) -lm -pthread
  ifeq ($(STATIC),auto)
    STATIC := $(if $(shell echo 'int main(void) { return 0; }' | $(CC) $(LDFLAGS) -static-pie -x c - -o /dev/null $(STATIC_LIBS) 2>/dev/null && echo yes),yes,no)
  endif
  REPORT_LIBS := $(shell $(PKG_CONFIG) --libs libzstd jansson zlib sqlite3 ncursesw) -lm -pthread

  # The kernel engine's eBPF program is compiled by clang, whatever CC is; `make CLANG=` and systems without it leave the
  # engine out. There is no C library for this target; asm/types.h lies where CC finds it. v2: pyspy-record/kernel/
  ASM_TYPES := $(filter %/asm/types.h,$(shell $(CC) -M -include asm/types.h -x c /dev/null 2>/dev/null))
  TARGET_ARCH_OF := x86_64:x86 aarch64:arm64
  BPF_ARCH := $(patsubst $(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null))):%,-D__TARGET_ARCH_%,$(TARGET_ARCH_OF))
  BPF_CC := $(CLANG) -target bpf -mcpu=v2 -O2 -ffreestanding -fno-stack-protector \
    $(filter -D%,$(BPF_ARCH)) $(patsubst %/asm/types.h,-idirafter %,$(ASM_TYPES))
  BPF_WARN := -Wall -Wextra -Wshadow -Wno-unused-parameter $(if $(filter 1,$(WERROR)),-Werror)
  BPF_MISSING := $(strip $(if $(CLANG),$(if $(call tool,$(CLANG),x),$(CLANG) is missing (scripts/install-deps build),\
    $(if $(shell echo 'int x = BPF_MAP_TYPE_RINGBUF;' | $(BPF_CC) -include linux/bpf.h -x c -c -o /dev/null - 2>/dev/null && echo yes),,\
    $(CLANG) has no bpf target or linux/bpf.h is older than 5.8)),CLANG is empty))
endif

COMMON_SRC := $(wildcard libcommon/*.c format/*.c)
BPF_SRC := $(if $(BPF_MISSING),,$(wildcard pyspy-record/kernel/*.bpf.c))
FRONT_SRC := $(wildcard pyspy-record/front/*.c)
RECORD_SRC := $(filter-out %.bpf.c $(FRONT_SRC),$(wildcard pyspy-record/*.c pyspy-record/*/*.c))
REPORT_SRC := $(wildcard pyspy-report/*.c pyspy-report/*/*.c)
# the page's script is written in files by job and is one script in the page: constants stand before what uses them
PAGE_FIRST := $(addprefix pyspy-report/assets/page_,words.js data.js graph.js invert.js table.js search.js draw.js timeline.js state.js tree.js)
PAGE_LAST := pyspy-report/assets/page_main.js
PAGE_ALL := $(wildcard pyspy-report/assets/page_*.js)
PAGE_JS := $(filter $(PAGE_ALL),$(PAGE_FIRST)) $(filter-out $(PAGE_FIRST) $(PAGE_LAST),$(PAGE_ALL)) $(filter $(PAGE_ALL),$(PAGE_LAST))
ASSETS := $(filter-out $(PAGE_ALL),$(wildcard pyspy-report/assets/*.js pyspy-report/assets/*.css pyspy-report/assets/*.html)) $(if $(PAGE_ALL),pyspy-report/assets/page.js)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_SUPPORT := $(wildcard tests/unit/support_*.c)

obj = $(patsubst %.c,$(OBJ)/%.o,$(1))
ASSET_OBJ := $(patsubst %,$(OBJ)/%.o,$(ASSETS))
BPF_OBJ := $(patsubst %.bpf.c,$(OBJ)/%.bpf.embedded.o,$(BPF_SRC))
COMMON_OBJ := $(call obj,$(COMMON_SRC))
PROGRAMS := $(if $(FRONT_SRC),pyspy) pyspy-record pyspy-report
# what a unit test may link: everything but the mains
RECORD_LIB_OBJ := $(call obj,$(filter-out pyspy-record/main.c pyspy-record/front/main.c,$(RECORD_SRC) $(FRONT_SRC))) $(BPF_OBJ)
REPORT_LIB_OBJ := $(call obj,$(filter-out pyspy-report/main.c,$(REPORT_SRC))) $(ASSET_OBJ)
UNIT_BIN := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRC))

.SECONDARY:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
.PHONY: all unit check-unit install $(NO_COMPILE)

all: $(PROGRAMS:%=$(O)/%) ## build the programs (default) into build/; BUILD=debug|asan|tsan|coverage into build/FLAVOUR/

$(O)/pyspy-record: $(call obj,$(RECORD_SRC)) $(BPF_OBJ) $(COMMON_OBJ) $(OBJ)/sources
	$(if $(BPF_MISSING),@echo '  note: built without the kernel engine: $(BPF_MISSING)')
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $(filter %.o,$^) $(if $(filter yes,$(STATIC)),-static-pie $(STATIC_LIBS),$(RECORD_LIBS))
$(O)/pyspy-report: $(call obj,$(REPORT_SRC)) $(ASSET_OBJ) $(COMMON_OBJ) $(OBJ)/sources
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $(filter %.o,$^) $(REPORT_LIBS)

$(O)/pyspy: $(call obj,$(FRONT_SRC) $(filter libcommon/%,$(COMMON_SRC))) $(OBJ)/sources
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $(filter %.o,$^) $(if $(filter yes,$(STATIC)),-static-pie) -lm

# Objects depend on the compiler and its flags, links on the list of sources. A stamp is rewritten only when what it
# holds has changed.
FLAGS_NOW = $(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) $(LDFLAGS) $(if $(BPF_MISSING),,$(BPF_CC))
quoted = '$(subst ','\'',$(1))'
ifneq ($(FLAGS_NOW),$(file <$(OBJ)/flags))
$(OBJ)/flags: FORCE
endif
$(OBJ)/flags:
	@mkdir -p $(@D); printf '%s\n' $(call quoted,$(FLAGS_NOW)) >$@
SOURCES_NOW := static=$(STATIC) $(COMMON_SRC) $(RECORD_SRC) $(FRONT_SRC) $(BPF_SRC) $(REPORT_SRC) $(ASSETS) $(UNIT_SUPPORT)
ifneq ($(SOURCES_NOW),$(file <$(OBJ)/sources))
$(OBJ)/sources: FORCE
endif
$(OBJ)/sources:
	@mkdir -p $(@D); printf '%s\n' '$(SOURCES_NOW)' >$@
FORCE:
.PHONY: FORCE

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call MSG,CC,$<)$(CC) $(ALL_CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(OBJ)/pyspy-report/assets/page.js.o: $(PAGE_JS) scripts/embed.sh $(OBJ)/flags
	@mkdir -p $(@D)
	$(call MSG,EMBED,page.js)cat $(PAGE_JS) >$(@:.o=) && scripts/embed.sh $(@:.o=) >$(@:.o=.c) && $(CC) $(ALL_CFLAGS) -c -o $@ $(@:.o=.c)
# an asset becomes `const unsigned char asset_NAME[]` and `const unsigned int asset_NAME_len`
$(OBJ)/pyspy-report/assets/%.o: pyspy-report/assets/% scripts/embed.sh $(OBJ)/flags
	@mkdir -p $(@D)
	$(call MSG,EMBED,$<)scripts/embed.sh $< >$(@:.o=.c) && $(CC) $(ALL_CFLAGS) -c -o $@ $(@:.o=.c)
# an eBPF program NAME.bpf.c becomes `asset_NAME_bpf_o`
$(OBJ)/%.bpf.o: %.bpf.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call MSG,BPF,$<)$(BPF_CC) $(BPF_WARN) -I. -MMD -MP -c -o $@ $<
$(OBJ)/%.bpf.embedded.o: $(OBJ)/%.bpf.o scripts/embed.sh
	$(Q)scripts/embed.sh $< >$(@:.o=.c) && $(CC) $(ALL_CFLAGS) -c -o $@ $(@:.o=.c)
-include $(wildcard $(OBJ)/*/*.d $(OBJ)/*/*/*.d)

# --- unit tests: one cmocka program per tests/unit/test_*.c. A program's objects are linked only where the test (or
# --- its support) includes that program, so a room under repair does not break the tests of the others.
unit: $(UNIT_BIN)
linking = $(patsubst tests/unit/%.c,$(O)/unit/%,$(shell grep -ls '"$(1)/\|"tests/unit/support_\|"support_' $(UNIT_SRC) /dev/null))
$(O)/unit/%: $(OBJ)/tests/unit/%.o $(OBJ)/support.a $(OBJ)/common.a
	@mkdir -p $(@D)
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group -lcmocka $(RECORD_LIBS) $(REPORT_LIBS)
ifneq ($(filter unit check-unit $(O)/unit/%,$(COMPILING)),)
  $(call linking,pyspy-record): $(OBJ)/record.a
  $(call linking,pyspy-report): $(OBJ)/report.a
endif
$(OBJ)/support.a: $(call obj,$(UNIT_SUPPORT))
$(OBJ)/common.a: $(COMMON_OBJ)
$(OBJ)/record.a: $(RECORD_LIB_OBJ)
$(OBJ)/report.a: $(REPORT_LIB_OBJ)
$(OBJ)/%.a: $(OBJ)/sources
	$(Q)rm -f $@; $(AR) rcs $@ $(filter %.o,$^)

check-unit: $(UNIT_BIN) ## build and run the unit tests only
	@scripts/run-tests --build $(O) $(UNIT_BIN)

# --- targets that install what is missing, then call make again
SUB = +@$(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc 2>/dev/null || echo 2))

demo: ## record a real program and leave its flame graph in build/demo/ (installs what is missing)
	@scripts/install-deps build demo
	$(SUB) all
	@scripts/demo $(O)
check: ## build with warnings as errors, run every test in its quick form (installs what is missing)
	@scripts/install-deps build check $(if $(CI),pythons)
	@scripts/install-deps --optional viewers
	$(SUB) WERROR=1 all unit
	@scripts/run-tests --build $(O)
check-full: ## the same in full: sanitizers, long tests, lint, a bare Debian, other kernels
	@scripts/install-deps build check pythons-full viewers lint full
	$(SUB) WERROR=1 all unit
	$(SUB) WERROR=1 BUILD=asan O=$(O)/asan all unit
	@scripts/run-tests --full --build $(O) --sanitized $(O)/asan
bench: ## what a sample costs, and looking at a recording, beside others and beside the least it can cost
	@scripts/install-deps build check bench
	$(SUB) all
	@python3 tests/bench/cost.py $(O)
	@python3 tests/bench/report.py $(O)
	@python3 tests/bench/live.py $(O)
coverage: ## run the quick tests on an instrumented build and print the lines covered, by room
	@scripts/install-deps build check
	$(SUB) BUILD=coverage O=$(O)/coverage all unit
	@scripts/coverage $(O)/coverage
matrix: ## record every interpreter that can be had here by both engines, and print what held against its own word
	@scripts/install-deps build pythons-full
	$(SUB) all
	@PYSPY_BUILD=$(O) tests/e2e/matrix.py
lint: ## formatting, include direction, file names, cppcheck and clang-tidy
	@scripts/lint
format: ## let clang-format rewrite the C sources
	@scripts/lint --format
install-deps: ## install what build, demo, check and lint need (Debian, Ubuntu)
	@scripts/install-deps build demo check lint

DOCS := $(wildcard README.md LICENSE format/FORMAT.md)
DOCDIR := $(DESTDIR)$(PREFIX)/share/doc/pyspy
install: all ## install the programs and the documents (DESTDIR=, PREFIX=/usr/local)
	@install -d $(DESTDIR)$(PREFIX)/bin $(DOCDIR)
	$(call MSG,INSTALL,$(PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%))install -m 755 $(PROGRAMS:%=$(O)/%) $(DESTDIR)$(PREFIX)/bin/
	$(call MSG,INSTALL,$(DOCDIR)/)install -m 644 $(DOCS) $(DOCDIR)/
uninstall: ## remove what install put there
	$(Q)rm -f $(PROGRAMS:%=$(DESTDIR)$(PREFIX)/bin/%)
	$(Q)rm -rf $(DOCDIR)
clean: ## remove the build folder
	$(Q)rm -rf $(O)
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' Makefile | while IFS='|' read -r name text; do printf '%-20s %s\n' "$$name" "$$text"; done
	@echo "variables: BUILD=release|debug|asan|tsan|coverage STATIC=yes|no|auto V=1 WERROR=1 CC= CLANG= CFLAGS= LDFLAGS= PKG_CONFIG= O=FOLDER DESTDIR= PREFIX="
