#!/usr/bin/env python3
"""Measures `modver log POINTER` against `git log -- POINTER` on a history made by `git fast-import`.

  python3 benches/history.py --modver target/release/modver [--commits 10000] [--touched 100,1000,10000] [--files 1000]
                             [--moved] [--runs 7] [--work DIR]

Each history has --commits commits, each of which changes one of --files code files in 50 directories; the pointer
`data/set.mv` changes in about as many of them as --touched says, evenly. With --moved it was `data/old.mv` in the first
half, and git is asked for both names. Prints the median wall time of both and their ratio, without and with a commit
graph. Needs only Python 3 and git.
"""
import argparse, hashlib, os, shutil, statistics, subprocess, tempfile, time

HEADER = "# modver pointer. The data it stands for: modver pull <this file's name without .mv>\n"


def pointer(n):
    digest = hashlib.sha256(str(n).encode()).hexdigest()
    return f'{HEADER}version = 1\nkind = "dir"\nid = "{digest}"\nsize = {1000 + n}\nfiles = {10 + n}\n'


def history(repo, commits, touched, files, move):
    subprocess.run(["git", "init", "-q", "-b", "main", repo], check=True)
    feed = subprocess.Popen(["git", "-C", repo, "fast-import", "--quiet"], stdin=subprocess.PIPE)
    out = feed.stdin
    every = commits // touched
    moved = not move

    def blob(text):
        data = text.encode()
        out.write(b"data %d\n%s\n" % (len(data), data))

    for n in range(commits):
        out.write(b"commit refs/heads/main\nauthor A U <a@example.org> %d +0000\n" % (1_700_000_000 + 60 * n))
        out.write(b"committer A U <a@example.org> %d +0000\n" % (1_700_000_000 + 60 * n))
        blob(f"commit {n}")
        if n == 0:
            for i in range(files):
                out.write(b"M 100644 inline src/%02d/%04d.py\n" % (i % 50, i))
                blob(f"print({i})\n" * 20)
        i = n * 7919 % files
        out.write(b"M 100644 inline src/%02d/%04d.py\n" % (i % 50, i))
        blob(f"print({n})\n" * 20)
        if n % every == 0:
            name = "set" if moved else "old"
            out.write(b"M 100644 inline data/%s.mv\n" % name.encode())
            blob(pointer(n))
        elif n * 2 >= commits and not moved:
            out.write(b"R data/old.mv data/set.mv\n")
            moved = True
    out.close()
    assert feed.wait() == 0
    run = lambda *args: subprocess.run(["git", "-C", repo, *args], check=True, capture_output=True)
    run("repack", "-adq")
    run("checkout", "-q", "main")


def median(argv, cwd, env, runs):
    times = []
    for _ in range(runs + 1):
        start = time.monotonic()
        done = subprocess.run(argv, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        times.append(time.monotonic() - start)
        assert done.returncode == 0, done.stderr.decode()
    return statistics.median(times[1:]), done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modver", required=True)
    parser.add_argument("--commits", type=int, default=10_000)
    parser.add_argument("--touched", default="100,1000,9000")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--moved", action="store_true")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--work")
    args = parser.parse_args()
    modver = os.path.abspath(args.modver)
    work = tempfile.mkdtemp(prefix="modver-history-", dir=args.work)
    env = {**os.environ, "HOME": work, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C"}
    print("| commits | of them touch the pointer | commit graph | `git log -- POINTER` | `modver log` | ratio |")
    print("|---|---|---|---|---|---|")
    try:
        for touched in map(int, args.touched.split(",")):
            repo = f"{work}/{touched}"
            history(repo, args.commits, touched, args.files, args.moved)
            for graph in ["no", "yes, with changed paths"]:
                if graph != "no":
                    write = ["git", "-C", repo, "commit-graph", "write", "--reachable", "--changed-paths"]
                    subprocess.run(write, check=True, capture_output=True)
                names = ["data/set.mv", "data/old.mv"] if args.moved else ["data/set.mv"]
                git, _ = median(["git", "log", "--", *names], repo, env, args.runs)
                ours, out = median([modver, "log", "data/set"], repo, env, args.runs)
                versions = out.count(b"\n    ")
                print(
                    f"| {args.commits:,} | {versions:,} | {graph} | {git * 1000:.0f} ms | {ours * 1000:.0f} ms "
                    f"| {ours / git:.2f} |",
                    flush=True,
                )
            shutil.rmtree(repo)
    finally:
        shutil.rmtree(work)


main()
