# pyspy: `make help` lists the targets. Sources are found by room (wildcard): adding a file is adding a file.
BUILD ?= release
CC ?= cc
PREFIX ?= /usr/local
DESTDIR ?=
PKG_CONFIG ?= pkg-config
V ?= 0

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
  $(error BUILD=$(BUILD): unknown flavour; one of release debug asan tsan coverage)
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
CPPFLAGS += -I. -D_GNU_SOURCE
CFLAGS ?=
ALL_CFLAGS = -std=gnu17 $(WARN) $(FLAVOUR) $(LIB_CFLAGS) $(CFLAGS)

# one sentence for a library that is missing, naming its package
needs = $(if $(filter clean help install-deps lint-style,$(MAKECMDGOALS)),,$(if $(shell $(PKG_CONFIG) --exists $(1) 2>/dev/null && echo yes),,$(error $(1) is missing: install $(2) (Debian/Ubuntu; scripts/install-deps build does it and names other systems' packages))))
$(call needs,libzstd,libzstd-dev)
$(call needs,libelf,libelf-dev)
$(call needs,jansson,libjansson-dev)
LIB_CFLAGS := $(shell $(PKG_CONFIG) --cflags libzstd libelf jansson 2>/dev/null)
RECORD_LIBS := $(shell $(PKG_CONFIG) --libs libzstd libelf 2>/dev/null) -lm
REPORT_LIBS := $(shell $(PKG_CONFIG) --libs libzstd jansson 2>/dev/null) -lm

COMMON_SRC := $(wildcard libcommon/*.c format/*.c)
RECORD_SRC := $(wildcard pyspy-record/*.c pyspy-record/*/*.c)
REPORT_SRC := $(wildcard pyspy-report/*.c pyspy-report/*/*.c)
ASSETS := $(wildcard pyspy-report/assets/*.js pyspy-report/assets/*.css)
UNIT_SRC := $(wildcard tests/unit/test_*.c)
UNIT_SUPPORT := $(wildcard tests/unit/support_*.c)

obj = $(patsubst %.c,$(OBJ)/%.o,$(1))
ASSET_OBJ := $(patsubst %,$(OBJ)/%.o,$(ASSETS))
COMMON_OBJ := $(call obj,$(COMMON_SRC))
# what a unit test may link: everything but the two mains
RECORD_LIB_OBJ := $(call obj,$(filter-out pyspy-record/main.c,$(RECORD_SRC)))
REPORT_LIB_OBJ := $(call obj,$(filter-out pyspy-report/main.c,$(REPORT_SRC))) $(ASSET_OBJ)
UNIT_BIN := $(patsubst tests/unit/%.c,$(O)/unit/%,$(UNIT_SRC))

.SECONDARY:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all
.PHONY: all

all: $(O)/pyspy-record $(O)/pyspy-report ## build both programs (default)

$(O)/pyspy-record: $(call obj,$(RECORD_SRC)) $(COMMON_OBJ)
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(RECORD_LIBS)
$(O)/pyspy-report: $(call obj,$(REPORT_SRC)) $(ASSET_OBJ) $(COMMON_OBJ)
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -Wl,--as-needed -o $@ $^ $(REPORT_LIBS)

# objects depend on the compiler and flags: a change of CFLAGS rebuilds
FLAGS_NOW := $(CC) $(CPPFLAGS) $(ALL_CFLAGS)
$(OBJ)/flags: FORCE
	@mkdir -p $(OBJ); echo '$(FLAGS_NOW)' | cmp -s - $@ || echo '$(FLAGS_NOW)' >$@
FORCE:
.PHONY: FORCE

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call MSG,CC,$<)$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
# an asset becomes `const unsigned char asset_NAME[]` and `const unsigned int asset_NAME_len`
$(OBJ)/pyspy-report/assets/%.o: pyspy-report/assets/% scripts/embed.sh $(OBJ)/flags
	@mkdir -p $(@D)
	$(call MSG,EMBED,$<)scripts/embed.sh $< >$(@:.o=.c) && $(CC) $(ALL_CFLAGS) -c -o $@ $(@:.o=.c)
-include $(wildcard $(OBJ)/*/*.d $(OBJ)/*/*/*.d)

$(O)/unit/%: $(OBJ)/tests/unit/%.o $(call obj,$(UNIT_SUPPORT)) $(COMMON_OBJ) $(OBJ)/record.a $(OBJ)/report.a
	@mkdir -p $(@D)
	$(call MSG,LD,$@)$(CC) $(ALL_CFLAGS) $(LDFLAGS) -o $@ $(filter %.o,$^) $(OBJ)/record.a $(OBJ)/report.a -lcmocka $(RECORD_LIBS) $(REPORT_LIBS)
$(OBJ)/record.a: $(RECORD_LIB_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^
$(OBJ)/report.a: $(REPORT_LIB_OBJ)
	$(Q)rm -f $@; ar rcs $@ $^
