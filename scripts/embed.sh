#!/bin/sh
# usage: embed.sh FILE   (prints C)
# FILE's bytes as `const unsigned char asset_NAME[]` and their count as `const unsigned int asset_NAME_len`; NAME is
# the base name with everything but letters and digits turned into _ (flame.js -> asset_flame_js). One zero byte
# follows the last one and is not counted, so that a text asset is a C string too. They lie on a multiple of 8, as the
# headers of an object file must. `const char asset_NAME_sha256[]` is the SHA-256 of its bytes in base64, as a
# Content-Security-Policy wants it.
set -eu
[ $# = 1 ] || { echo "usage: embed.sh FILE" >&2; exit 2; }
[ -f "$1" ] && [ -r "$1" ] || { echo "embed.sh: $1: cannot be read" >&2; exit 1; }
name=asset_$(printf %s "${1##*/}" | sed 's/[^A-Za-z0-9]/_/g')
echo "/* made by scripts/embed.sh */"
echo "extern const unsigned char ${name}[];"
echo "extern const unsigned int ${name}_len;"
echo "_Alignas(8) const unsigned char ${name}[] = {"
od -An -v -tu1 "$1" | sed 's/^ *//; s/  */,/g; s/$/,/'
echo "0};"
hash=$(sha256sum <"$1" | awk '{
    for (i = 1; i <= 64; i += 2)
        printf "\\%03o", 16 * index("123456789abcdef", substr($1, i, 1)) + index("123456789abcdef", substr($1, i + 1, 1))
}')
echo "extern const char ${name}_sha256[];"
echo "const char ${name}_sha256[] = \"$(printf "$hash" | base64)\";"
echo "const unsigned int ${name}_len = sizeof(${name}) - 1;"
