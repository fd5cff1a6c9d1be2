# What the scripts share. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)

say() { printf '== %s\n' "$*" >&2; }

# One sentence on what is wrong and what to do, then the end.
die() {
  printf '%s: %s\n' "$(basename "$0")" "$*" >&2
  exit 1
}

# need_disk_space <folder> <GiB>
need_disk_space() {
  local free_kib
  free_kib=$(df -Pk "$1" | awk 'NR == 2 { print $4 }')
  ((free_kib >= $2 * 1024 * 1024)) ||
    die "The disk of $1 has $((free_kib / 1024)) MiB free and $2 GiB are needed: make room, or work on another disk."
}

# How many compilers may run at once: one a core, and 4 GiB of memory for each.
jobs_for_memory() {
  local cores memory_kib jobs
  cores=$(nproc)
  memory_kib=$(awk '/^MemAvailable:/ { print $2 }' /proc/meminfo)
  jobs=$((memory_kib / (4 * 1024 * 1024)))
  ((jobs < 1)) && jobs=1
  echo $((jobs < cores ? jobs : cores))
}
