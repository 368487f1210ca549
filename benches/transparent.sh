#!/usr/bin/env bash
# Transparent files against git-lfs: `git add` and `git checkout` of many small files, through either filter.
#
#   benches/transparent.sh [FILES] [BYTES]      needs git, git-lfs and modver on PATH
#
# Each is done three times in a fresh repository in turn; the fastest counts. Prints seconds and ratios.
set -euo pipefail
files=${1:-10000} bytes=${2:-4096}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export HOME=$work/home GIT_CONFIG_NOSYSTEM=1
mkdir "$HOME" "$work/data"
git config --global user.name Bench
git config --global user.email bench@example.org
git config --global init.defaultBranch main
git config --global gc.auto 0

# Incompressible files, all different, 100 to a directory.
for ((i = 0; i < files; i += 100)); do
    mkdir "$work/data/$i"
    head -c $((100 * bytes)) /dev/urandom | split -a 3 -b "$bytes" --additional-suffix .bin - "$work/data/$i/"
done

now() { date +%s.%N; }

# Prints the seconds that a command takes.
seconds() {
    local start
    start=$(now)
    "$@" >/dev/null 2>&1
    echo "$(now) - $start" | bc
}

repository() { # who
    rm -rf "$work/$1"
    git init -q "$work/$1"
    cd "$work/$1"
    case $1 in
    lfs)
        git lfs install --local >/dev/null
        git lfs track '*.bin' >/dev/null
        ;;
    modver)
        modver track '*.bin' >/dev/null 2>&1
        ;;
    esac
    git add .gitattributes
    git commit -qm Attributes
    cp -r "$work/data" .
    sync
}

declare -A best
keep() { # key, seconds
    if [ -z "${best[$1]:-}" ] || [ "$(echo "$2 < ${best[$1]}" | bc)" = 1 ]; then
        best[$1]=$2
    fi
}
for _ in 1 2 3; do
    for who in lfs modver; do
        repository "$who"
        keep "add $who" "$(seconds git add .)"
        git commit -qm Data
        rm -rf data
        sync
        keep "checkout $who" "$(seconds git checkout .)"
        [ -z "$(git status --porcelain)" ]
        diff -r "$work/data" data
    done
done
echo "| $files files of $bytes bytes | git-lfs | modver | ratio |"
echo "|---|---|---|---|"
for what in add checkout; do
    lfs=${best[$what lfs]} ours=${best[$what modver]}
    printf '| `git %s` | %.2f s | %.2f s | %.2f |\n' "$what" "$lfs" "$ours" "$(echo "scale=4; $ours / $lfs" | bc)"
done
