#!/usr/bin/env bash
# The rules of the tree hold: includes point upstream and are written from the root, file names are unique.
set -eu
git rev-parse --git-dir >/dev/null 2>&1 || { echo "not a git work tree: which files are ours cannot be told"; exit 77; }
exec scripts/lint-includes
