# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# Common ground of the scripts: places, names, messages.
# usage: source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"   (from any directory)
# Environment: O= objects (default out/), RESULTS= (default results/), V=1 verbose.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
O=$(realpath -m -- "${O:-$ROOT/out}")
RESULTS=$(realpath -m -- "${RESULTS:-$ROOT/results}")
# mke2fs and friends live in sbin, which is not in every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
JOBS=${JOBS:-$(nproc)}
V=${V:-0}
# shellcheck disable=SC2034  # used by those who source this
readonly KERNEL_VERSION=7.3
# shellcheck disable=SC2034
readonly EXIT_FAIL=1 EXIT_ENV=2 EXIT_CRASH=3 EXIT_SKIP=4 EXIT_NOMATCH=5 EXIT_TIMEOUT=124

# The clock all elapsed times count from; scripts that call each other share it.
export PB_T0=${PB_T0:-$EPOCHREALTIME}
export O RESULTS JOBS V

die()
{
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit "$EXIT_ENV"
}

note()
{
	printf '%s\n' "$*" >&2
}

# Both get into arguments of kbuild
for path in "$ROOT" "$O"; do
	[[ ! $path =~ [[:space:]:] ]] || die "kbuild takes no blanks and colons in a path: '$path'"
done
unset path

# step TEXT: progress with elapsed seconds, in the format of vmctl
step()
{
	local us=$(((${EPOCHREALTIME/[.,]/} - ${PB_T0/[.,]/}) / 100000))
	printf '[%6s] %s\n' "$((us / 10)).$((us % 10))" "$*"
}

# usage: prints the calling script's header comment and exits 2
usage()
{
	sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" | grep -v SPDX >&2
	exit "$EXIT_ENV"
}

# kernel_name base|patched: refuses anything else
kernel_name()
{
	case ${1-} in
	base|patched) printf '%s\n' "$1" ;;
	*) die "kernel must be base or patched, got: '${1-}'" ;;
	esac
}

# kernel_source base|patched: the source tree it is built from
kernel_source()
{
	case $1 in
	base) printf '%s\n' "$O/linux-base" ;;
	patched) printf '%s\n' "$O/linux" ;;
	esac
}

# conf KEY: values of KEY in section CONFIG of scripts/soak.conf, one per line
conf()
{
	awk -v name="[$CONFIG]" -v key="$1" '
	/^\[/ { section = $1 }
	$1 != key || $2 != "=" { next }
	{ value = $0; sub(/^[^=]*=[ \t]*/, "", value) }
	section == name { print value; found = 1 }
	section == "[default]" { other = other value "\n" }
	END { if (!found && key != "kernel") printf "%s", other }' \
		"$ROOT/scripts/soak.conf"
}

# kernel_dir base|patched: its folder in $O. CONFIG= chooses another one when
# that configuration has kernel lines.
kernel_dir()
{
	local dir=$1
	if [ -n "${CONFIG-}" ]; then
		grep -qxF "[$CONFIG]" "$ROOT/scripts/soak.conf" ||
			die "CONFIG=$CONFIG: no such section in scripts/soak.conf"
		[ -z "$(conf kernel)" ] || dir+=-$CONFIG
	fi
	printf '%s\n' "$dir"
}

# kernel_image base|patched: what QEMU boots. vmlinux needs no unpacking, and
# CONFIG_PVH to be loaded.
kernel_image()
{
	local dir
	dir=$O/$(kernel_dir "$1")
	if grep -qs '^CONFIG_PVH=y' "$dir/.config"; then
		printf '%s\n' "$dir/vmlinux"
	else
		printf '%s\n' "$dir/arch/x86/boot/bzImage"
	fi
}

# kernel_env COMMAND...: the environment every kernel build runs in. Fixed
# identity: identical source gives identical objects; ccache when it is there.
# KCFLAGS: most of the time goes into parsing headers. Not to remember for
# each token which macros it came from, and not to read each file once more to
# look at its indentation, saves 8 and 6 % of the compiler's instructions, and
# changes no code. check-series builds with every warning.
# CCACHE_DEPEND: ccache looks at the dependencies that the compiler writes,
# instead of running the preprocessor once more for each file that it misses.
kernel_env()
{
	local path=$PATH
	[ ! -d /usr/lib/ccache ] || path=/usr/lib/ccache:$PATH
	env -u MAKEFLAGS -u MFLAGS -u MAKELEVEL -u MAKEOVERRIDES -u O -u V -u CONFIG \
		PATH="$path" KBUILD_BUILD_TIMESTAMP=1970-01-01 \
		KBUILD_BUILD_USER=pageblock KBUILD_BUILD_HOST=localhost \
		CCACHE_DEPEND=1 \
		KCFLAGS="${KCFLAGS--pipe -ftrack-macro-expansion=0 -Wno-misleading-indentation}" \
		"$@"
}

# build_kernels KERNEL...: side by side, because much of a build is one process
# (configuring, linking, packing) that would leave the other cores idle
build_kernels()
{
	local kernel pid pids=() rc=0
	for kernel in "$@"; do
		"$ROOT/scripts/build-kernel" "$kernel" &
		pids+=($!)
	done
	for pid in "${pids[@]}"; do
		wait "$pid" || rc=$?
	done
	return "$rc"
}

# quietly LOG COMMAND...: output to LOG; when it fails the end of it is shown
quietly()
{
	local log=$1
	shift
	mkdir -p "$(dirname "$log")"
	if [ "$V" != 0 ]; then
		"$@" 2>&1 | tee "$log"
		return
	fi
	"$@" >"$log" 2>&1 || {
		tail -n 25 "$log" >&2
		note "(all of it: $log)"
		return 1
	}
}

# host_tool NAME SOURCE...: compiles scripts/SOURCE... to $O/NAME when needed
host_tool()
{
	local tool=$O/$1 file newer=''
	shift
	for file in "$@" vmctl.h; do
		[ "$tool" -nt "$ROOT/scripts/$file" ] || newer=1
	done
	[ -n "$newer" ] || return 0
	mkdir -p "$O"
	(cd "$ROOT/scripts" && gcc -O2 -Wall -Wextra -o "$tool.$$" "$@") ||
		die "cannot compile ${tool##*/}"
	mv "$tool.$$" "$tool"
}

# new_results WHAT: makes results/<UTC time>-WHAT, prints its path, and lets
# results/latest point to it. Reports of other kinds are carried forward, so
# that "latest" has the newest of each.
new_results()
{
	local dir old file
	dir=$RESULTS/$(date -u +%Y%m%dT%H%M%SZ)-$1
	mkdir -p "$RESULTS"
	# Two runs within one second must not share a directory.
	while ! mkdir "$dir" 2>/dev/null; do
		sleep 0.2
		dir=$RESULTS/$(date -u +%Y%m%dT%H%M%SZ)-$1
	done
	old=$RESULTS/latest
	for file in summary.json bench.json check.json pressure.json jobs.json junit.xml; do
		[ ! -e "$old/$file" ] || cp "$old/$file" "$dir/$file"
	done
	ln -sfn "$(basename "$dir")" "$RESULTS/.latest"
	mv -T "$RESULTS/.latest" "$old"
	printf '%s\n' "$dir"
}
