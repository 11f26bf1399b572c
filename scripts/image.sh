# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
# What the scripts have in common that gather this machine's programs for a disk of a guest.
# usage: source "$ROOT/scripts/image.sh" after lib.sh

# image_add ROOT FILE [PLACE]: copies a file, and the libraries that it loads
image_add()
{
	local root=$1 file=$2 place=$1${3:-$2} lib
	[ -f "$file" ] || die "no $file to put into the guest"
	[ ! -e "$place" ] || return 0
	mkdir -p "${place%/*}"
	cp -L "$file" "$place"
	[ "$(head -c 4 "$file" | tr -d '\0')" = $'\177ELF' ] || return 0
	while read -r lib; do
		image_add "$root" "$lib"
	done < <(ldd "$file" 2>/dev/null | grep -o '/[^ ]*' || true)
}
