#!/bin/sh
# The Debian packages in a root that has nothing else. mmdebstrap makes it, of apt and the essential packages of the release that
# runs here, from apt's own sources; the apt of the root then installs ours with what they need and recommend. There the quick
# start is run, the installed examples are compiled, and at the end the packages are purged and leave nothing. Everything that
# installs or removes runs by chroot. Without root's rights mmdebstrap works in a user namespace.
#
#   clean_root.sh SOURCE DEBS VERSION WORK required|optional
#
# DEBS has the packages, WORK is a folder of its own. Exit status 77: no root could be made here, and it is optional.
set -eu
source=$1 debs=$2 version=$3 work=$4 need=$5

cannot() {
    printf 'clean root: %s\n' "$*"
    [ "$need" = required ] || exit 77
    exit 1
}

# apt's sources of the release that runs here, without those of others
sources() {
    # shellcheck disable=SC2016 # apt's own fields
    apt-get indextargets --format '$(REPO_URI) $(CODENAME) $(COMPONENT)' 'Created-By: Packages' |
        awk -v release="$1" 'index($2, release) == 1 { print "deb", $1, $2, $3 }' | sort -u
}

# The quick start is the command of scripts/quickstart.sh by the installed program, shortened to seconds.
write_inside() {
    train=$(sed -n 's/^.*clmaml" \(train .*\) --run .*$/\1/p' "$source/scripts/quickstart.sh")
    [ -n "$train" ] || { echo "scripts/quickstart.sh trains nothing"; exit 1; }
    cat <<INSIDE
set -eux
cd /root
clmaml --version | grep -x 'clmaml $version'
clmaml devices >devices
grep -q 'Portable Computing Language' devices
clmaml $train --filters 8 --iterations 3 --val-tasks 2 --eval-tasks 4 --run runs/quickstart
clmaml eval runs/quickstart --tasks 4 --query 1
bash -c '. /usr/share/bash-completion/completions/clmaml; complete -p clmaml'
test -s /usr/share/man/man1/clmaml-train.1
set -- /usr/bin/clang-[0-9]* # PoCL brings a compiler
for example in /usr/share/doc/clmaml/examples/*.c; do
    "\$1" -std=c11 -Wall -Wextra -Werror "\$example" \$(pkg-config --cflags --libs clmaml) -lm -o "\$(basename "\$example" .c)"
done
./hvp
INSIDE
}

write_customize() {
    cat <<'CUSTOMIZE'
set -eu
root=$1 debs=$2 inside=$3
[ "$root" != / ] && [ -x "$root/usr/bin/apt-get" ] || { echo "'$root' is no root made for this"; exit 1; }
in_root() {
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=dumb DEBIAN_FRONTEND=noninteractive \
        ${http_proxy:+"http_proxy=$http_proxy"} chroot "$root" "$@"
}
packages() { for deb in "$debs"/*.deb; do dpkg-deb --field "$deb" Package; done; }
# the first of every "a, b, c | d"
recommended() { for deb in "$debs"/*.deb; do dpkg-deb --field "$deb" Recommends; done | tr ',' '\n' | sed 's/|.*//; s/(.*//'; }

cp "$debs"/*.deb "$inside" "$root/root"
apt-config dump --format '%f "%v";%n' Acquire::http Acquire::https >"$root/etc/apt/apt.conf.d/90host"
in_root sh -c 'apt-get install --yes --quiet --no-install-recommends "$@" /root/*.deb' sh pkg-config $(recommended)
rm "$root"/root/*.deb
in_root sh /root/inside.sh
in_root dpkg --purge $(packages)
left=$(find "$root/usr" "$root/etc" "$root/var/lib/dpkg/info" -iname '*clmaml*')
[ -z "$left" ] || { echo "left after the purge: $left"; exit 1; }
echo "clean root: done"
CUSTOMIZE
}

# shellcheck disable=SC1091
release=$(. /etc/os-release && printf '%s' "${VERSION_CODENAME-}")
[ -n "$release" ] || cannot "/etc/os-release names no release"
rm -rf "$work"
mkdir -p "$work"
sources "$release" >"$work/sources"
[ -s "$work/sources" ] || cannot "apt has no list of packages of $release; apt-get update fetches them"
write_inside >"$work/inside.sh"
write_customize >"$work/customize.sh"
mmdebstrap --variant=apt --format=null --skip=cleanup --dpkgopt=force-unsafe-io \
    --customize-hook="touch '$work/made'" --customize-hook="sh '$work/customize.sh' \"\$1\" '$debs' '$work/inside.sh'" \
    "$release" /dev/null "$work/sources" && exit 0
[ -e "$work/made" ] || cannot "mmdebstrap could not make a root of $release from apt's sources"
exit 1
