# shellcheck shell=dash
# SPDX-License-Identifier: GPL-2.0
# What the rounds of SCENE=jobs have in common. One round of a job:
#   /jobs/NAME ROUND WORD     WORD: what NAME wants to know, or -
# The last line it prints is "verified NUMBER UNIT". FAULT=1 in the environment: damages
# one byte of what is to be verified.
# Exit: 0 verified; 1 something was wrong, and is named; 2 the job could not be done
export PATH=/bin:/usr/bin HOME=/ LC_ALL=C
set -u

wrong()
{
	echo "wrong: $*"
	exit 1
}

broken()
{
	echo "broken: $*"
	exit 2
}

# flip FILE OFFSET: damages one byte of it
flip()
{
	local byte
	byte=$(dd if="$1" bs=1 skip="$2" count=1 2>/dev/null | od -An -tu1 | tr -d ' ')
	[ -n "$byte" ] || broken "$1 has no byte $2 to be damaged"
	# shellcheck disable=SC2059  # the format is the byte
	printf "\\$(printf %03o $((byte ^ 16)))" |
		dd of="$1" bs=1 seek="$2" conv=notrunc 2>/dev/null ||
		broken "$1 cannot be damaged"
	echo "damaged byte $2 of $1"
}

# fault FILE OFFSET: the same, if that is wanted
fault()
{
	[ "${FAULT-}" != 1 ] || flip "$@"
}

# check SUMS: those files below the current directory are as they should be
check()
{
	sha256sum -c "$1" >"$out" 2>&1 || wrong "$(grep -v ': OK$' "$out" | head -n 3)"
}

# shellcheck disable=SC2034  # for those who source this
round=$1 word=$2
out=/tmp/out.$$
trap 'rm -f "$out"' EXIT
