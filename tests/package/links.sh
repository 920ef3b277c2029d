#!/bin/sh
# Every link of the documents below a folder leads to a file that is there, and to a heading of it. Arguments: the folder.
set -eu
cd "$1"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
find . -name '*.md' -type f >"$work/documents"
[ "$(wc -l <"$work/documents")" -gt 10 ] || { echo "too few documents in $1"; exit 1; }

# "DOCUMENT TARGET" a line: links, and sources of pictures, outside of code.
while read -r document; do
    awk -v document="$document" '
        /^```/ { code = !code }
        code || /^    / { next }
        {
            line = $0
            gsub(/`[^`]*`/, "", line)
            while (match(line, /\]\([^() ]+\)|src="[^"]+"/)) {
                target = substr(line, RSTART, RLENGTH)
                line = substr(line, RSTART + RLENGTH)
                gsub(/^\]\(|\)$|^src="|"$/, "", target)
                print document, target
            }
        }' "$document"
done <"$work/documents" >"$work/links"
[ "$(wc -l <"$work/links")" -gt 50 ] || { echo "too few links in $1"; exit 1; }

# Headings as they are linked to: lower case, blanks are hyphens, other punctuation is left out.
anchors() { sed -n 's/^##* //p' "$1" | tr '[:upper:]' '[:lower:]' | sed 's/[^[:alnum:] _-]//g; s/ /-/g'; }

wrong=0
while read -r document target; do
    case $target in *://* | mailto:*) continue ;; esac
    path=${target%%#*}
    file=$document
    [ -z "$path" ] || file=$(dirname "$document")/$path
    if [ ! -e "$file" ]; then
        echo "$document links to $target, which is not there"
        wrong=1
    elif [ "$path" != "$target" ] && ! anchors "$file" | grep -Fqx -- "${target#*#}"; then
        echo "$document links to $target; $file has no such heading"
        wrong=1
    fi
done <"$work/links"
exit $wrong
