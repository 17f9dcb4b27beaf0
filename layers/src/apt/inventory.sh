# Writes the inventory of a master image, by which plinth tells that an `apt-get install` on it has nothing to do. What
# is in it, and why, is in docs/apt.md. It runs as the last part of the step that installs the packages, while the lists
# of `apt-get update` are there.
set -eu
export LC_ALL=C DEBIAN_FRONTEND=noninteractive
inventory=/usr/share/plinth/inventory.json
die() {
  echo "inventory: $*" >&2
  exit 1
}
work=$(mktemp -d)
mkdir -p "${inventory%/*}"
: >"$inventory"

# Which day's archive this is: that of the newest Release file.
date=$(sed -n 's/^Date: //p' /var/lib/apt/lists/*Release | while read -r day; do date -u -d "$day" +%F; done | sort | tail -n 1)
[ -n "$date" ] || die "no package lists; run this after apt-get update, in the same RUN"

# The packages that somebody asked for, at the very version that the archive offers.
# shellcheck disable=SC2046
apt-cache policy $(apt-mark showmanual) | awk '
  /^[^ ]/ { name = substr($0, 1, length($0) - 1) }
  $1 == "Installed:" { installed = $2 }
  $1 == "Candidate:" && $2 == installed { print name }' >"$work/listed"

# Tried, not assumed: the lists are fetched once more, apt is asked for all of them, and nothing but its own caches may
# have changed afterwards. Hooks of its configuration run as well.
sleep 1
touch "$work/stamp"
apt-get update -q
# shellcheck disable=SC2046
apt-get install -y $(cat "$work/listed") >"$work/said"
grep -q '^0 upgraded, 0 newly installed, 0 to remove' "$work/said" || die "apt still has something to do: $(tail -n 1 "$work/said")"
changed=$(find / -xdev \( -path "$work" -o -path /var/lib/apt/lists -o -path /var/cache/apt/archives -o -path /proc -o -path /sys -o -path /dev \) -prune \
  -o ! -type d -cnewer "$work/stamp" -print)
[ -z "$changed" ] || die "installing what is there already changes files: $changed"
left=$(find /var/cache/apt -type f ! -empty)
[ -z "$left" ] || die "apt keeps a cache of its own: $left"

# Everything that decides which version apt would choose, beside the archive.
find /etc/apt /usr/lib/apt/apt.conf.d /usr/share/apt /var/lib/dpkg/arch /usr/bin/apt /usr/bin/apt-get /usr/bin/dpkg \
  ! -type d 2>/dev/null | sort >"$work/files"
xargs sha256sum <"$work/files" | awk '{ printf "%s\n    \"%s\": \"sha256:%s\"", (NR > 1 ? "," : ""), $2, $1 }' >"$work/sums"

dpkg-query -W -f '${Package}\t${Architecture}\t${Version}\t${db:Status-Abbrev}\t${Recommends}\t${Provides}\n' >"$work/there"
awk -F '\t' -v "native=$(dpkg --print-architecture)" '
  function list(names, n,    i, text) {
    for (i = 1; i <= n; i++) text = text (i > 1 ? ", " : "") "\"" names[i] "\""
    return "[" text "]"
  }
  FNR == NR { listed[$1]; next }
  $4 ~ /^[ih]i *$/ && ($2 == native || $2 == "all") {
    there[$1]
    n = split($6, provided, /, */)
    for (i = 1; i <= n; i++) {
      sub(/[ :].*/, "", provided[i])
      if (!(provided[i] in by)) by[provided[i]] = $1
    }
    if ($1 in listed) {
      name[++count] = $1
      line[count] = "\"name\": \"" $1 "\", \"architecture\": \"" $2 "\", \"version\": \"" $3 "\""
      wanted[count] = $5
    }
  }
  END {
    for (at = 1; at <= count; at++) {
      n = split(wanted[at], group, /, */)
      here = gone = 0
      for (g = 1; g <= n; g++) {
        found = ""
        m = split(group[g], choice, / *\| */)
        for (c = 1; c <= m && found == ""; c++) {
          sub(/[ :(].*/, "", choice[c])
          if (choice[c] in there) found = choice[c]
          else if (choice[c] in by) found = by[choice[c]]
        }
        if (found != "") installed[++here] = found
        else absent[++gone] = choice[1]
      }
      printf "%s\n    {%s, \"recommends\": {\"installed\": %s, \"absent\": %s}}", (at > 1 ? "," : ""), line[at], list(installed, here), list(absent, gone)
    }
  }' "$work/listed" "$work/there" >"$work/packages"

{
  printf '{\n  "format": 1,\n  "date": "%s",\n  "files": {' "$date"
  cat "$work/sums"
  printf '\n  },\n  "packages": ['
  cat "$work/packages"
  printf '\n  ]\n}\n'
} >"$inventory"
chmod 644 "$inventory"
rm -rf "$work"
