#!/usr/bin/env bash
# record_signals.sh, sampled from outside: as it is, the kernel takes the samples where it may.
PYSPY_ENGINE=outside
. "$(dirname "$0")/record_signals.sh"
