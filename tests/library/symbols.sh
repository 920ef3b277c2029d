# What the shared library shows: exactly the functions that the public headers declare. Arguments: nm, the library, the headers' folder.
set -eu
nm=$1 library=$2 headers=$3
seen=$(mktemp)
trap 'rm -f "$seen"' EXIT
"$nm" -D --defined-only "$library" | awk '$2 != "A" { sub(/@.*/, "", $3); print $3 }' | sort > "$seen"

[ "$(wc -l < "$seen")" -gt 100 ] || { echo "nm shows too few symbols of $library"; exit 1; }
wrong=0
while read -r name; do
    case $name in
    clm_*) grep -rqw "$name" "$headers" || { echo "$name is exported, and no header declares it"; wrong=1; } ;;
    *) echo "$name is exported; only names that begin with clm_ may be"; wrong=1 ;;
    esac
done < "$seen"
# The other way round: what a header marks CLM_API is there. A declaration's name is the word before its first parenthesis.
for name in $(cat "$headers"/clmaml/*.h | grep -v '^ *#' | tr '\n' ' ' | sed 's/__attribute__((\([^()]*([^()]*)\)*[^()]*)) *//g' | grep -o 'CLM_API [^(;{]*(' | sed 's/[ (]*$//; s/.*[ *]//' | sort -u); do
    grep -qx "$name" "$seen" || { echo "$name is declared CLM_API, and $library does not have it"; wrong=1; }
done
exit $wrong
