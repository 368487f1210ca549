#!/usr/bin/env python3
"""Compares modver with cp, find and DVC on the same data, in one run, and writes the table in docs/benchmarks.md.

  python3 benches/compare.py --modver target/release/modver [--dvc dvc] [--work DIR] [--sets big,many] [--runs 3]
                             [--scale 1.0] [--write docs/benchmarks.md]

Sets: big   one file of 4 GiB of random bytes; then 1 MiB inserted in its middle
      many  100,000 files of 2-6 KiB of random bytes in 100 directories; then 1 % of them replaced
--scale 0.01 tries the script on little data. Needs only Python 3 and git; DVC is left out if it is not there.
Every figure is the median of --runs whole-process wall times; peak memory is of the largest process.
"""
import argparse, os, shutil, sys, tempfile

from measure import (MiB, change_big, change_many, drop_dir, du, environment, figure, machine, make_big, make_many, median, run,
                     write_between)


class Tool:
    """One tool in one scratch repository."""

    def __init__(self, name, argv, work, env):
        self.name, self.argv, self.env = name, argv, env
        self.repo = f"{work}/{name}"

    def start(self):
        drop_dir(self.repo)
        os.makedirs(self.repo)
        run(["git", "init", "-q"], self.repo, self.env)
        self("init")

    def __call__(self, *args, check=True):
        return run([*self.argv, *args], self.repo, self.env, check)


def bench_set(name, make, change, options, env, rows):
    work = options.work
    source = f"{work}/source-{name}"
    drop_dir(source)
    print(f"making {name}", file=sys.stderr)
    make(source, options.scale)
    run(["sync"], work)

    copies = []
    for _ in range(options.runs):
        drop_dir(f"{work}/copy")
        copies.append(run(["sh", "-c", 'cp -r "$1" "$2" && sync', "sh", source, f"{work}/copy"], work, env))
    plain = []
    for _ in range(options.runs):
        drop_dir(f"{work}/copy")
        run(["sync"], work)
        plain.append(run(["cp", "-r", source, f"{work}/copy"], work, env))
    finds = [run(["find", source, "-printf", "%s %T@\\n"], work, env) for _ in range(options.runs)]
    drop_dir(f"{work}/copy")
    cp_sync, cp, find = median(copies)[0], median(plain)[0], median(finds)[0]
    rows.append((name, "`cp -r` + `sync`", "cp", cp_sync, None, None))
    rows.append((name, "`cp -r`", "cp", cp, None, None))
    rows.append((name, "`find -printf '%s %T@'`", "find", find, None, None))

    tools = [Tool("modver", [options.modver], work, env)]
    if options.dvc:
        tools.append(Tool("dvc", [options.dvc], work, env))
    for tool in tools:
        print(f"{name}: {tool.name}", file=sys.stderr)
        store = f"{tool.repo}/.git/modver" if tool.name == "modver" else f"{tool.repo}/.dvc"
        runs = options.runs if tool.name == "modver" else 1
        add = []
        for _ in range(runs):
            tool.start()
            run(["cp", "-r", source, f"{tool.repo}/data"], work, env)
            run(["sync"], work)
            add.append(tool("add", "data"))
        rows.append((name, "add", tool.name, *median(add), cp_sync if name == "big" else cp))
        status = [tool("status") for _ in range(runs)]
        rows.append((name, "status, unchanged", tool.name, *median(status), find))
        again = [tool("add", "data") for _ in range(runs)]
        rows.append((name, "add again, unchanged", tool.name, *median(again), find))
        checkout = []
        for _ in range(runs):
            drop_dir(f"{tool.repo}/data")
            run(["sync"], work)
            checkout.append(tool("checkout"))
        rows.append((name, "checkout", tool.name, *median(checkout), cp))
        remote = f"{work}/remote-{tool.name}"
        drop_dir(remote)
        os.makedirs(remote)
        if tool.name == "modver":
            tool("remote", "add", "store", remote)
            tool("remote", "default", "store")
        else:
            tool("remote", "add", "-d", "store", remote)
        rows.append((name, "push to a directory", tool.name, *median([tool("push")]), cp))
        change(f"{tool.repo}/data")
        run(["sync"], work)
        before = du(store)
        rows.append((name, "add after the change", tool.name, *median([tool("add", "data")]), None))
        rows.append((name, "bytes stored by it", tool.name, du(store) - before, None, None))
        before = du(remote)
        rows.append((name, "push after the change", tool.name, *median([tool("push")]), None))
        rows.append((name, "bytes pushed by it", tool.name, du(remote) - before, None, None))
        if tool.name == "modver":
            drop_dir(f"{tool.repo}/data")
            drop_dir(f"{store}/cache")
            rows.append((name, "pull into an empty cache", tool.name, *median([tool("pull")]), cp))
        else:
            drop_dir(f"{tool.repo}/data")
            drop_dir(f"{store}/cache")
            rows.append((name, "pull into an empty cache", tool.name, *median([tool("pull")]), cp))
        drop_dir(tool.repo)
        drop_dir(remote)
    drop_dir(source)


def table(rows):
    lines = []
    for name in dict.fromkeys(row[0] for row in rows):
        lines += [f"### Set `{name}`", "", "| operation | modver | of its limit | peak memory | DVC | DVC ÷ modver |", "|---|---|---|---|---|---|"]
        mine = [row for row in rows if row[0] == name]
        for operation in dict.fromkeys(row[1] for row in mine):
            by = {row[2]: row for row in mine if row[1] == operation}
            modver, dvc = by.get("modver"), by.get("dvc")
            if modver is None:
                base = next(iter(by.values()))
                lines.append(f"| {operation} | | {figure(operation, base[3])} (the limit) | | | |")
                continue
            limit = f"{modver[3] / modver[5]:.2f} ×" if modver[5] else ""
            memory = f"{modver[4]:.0f} MiB" if modver[4] else ""
            other = figure(operation, dvc[3]) if dvc else ""
            ratio = f"{dvc[3] / modver[3]:.1f}" if dvc and modver[3] > 0 else ""
            lines.append(f"| {operation} | {figure(operation, modver[3])} | {limit} | {memory} | {other} | {ratio} |")
        lines.append("")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modver", required=True)
    parser.add_argument("--dvc", default=shutil.which("dvc"))
    parser.add_argument("--work")
    parser.add_argument("--sets", default="big,many")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--write", help="a Markdown file with the lines <!-- compare --> and <!-- /compare -->")
    options = parser.parse_args()
    options.modver = os.path.abspath(options.modver)
    options.work = os.path.abspath(options.work or tempfile.mkdtemp(prefix="modver-bench-"))
    os.makedirs(options.work, exist_ok=True)
    home = f"{options.work}/home"
    env = environment(home)
    sets = {"big": (make_big, change_big), "many": (make_many, change_many)}
    rows = []
    for name in options.sets.split(","):
        bench_set(name, *sets[name], options, env, rows)
    version = run([options.modver, "--version"], options.work, env)[2].strip()
    dvc = run([options.dvc, "--version"], options.work, env)[2].strip() if options.dvc else "none"
    text = (f"{version}, DVC {dvc}; {machine()}; "
            f"warm page cache; modver: median of {options.runs}, DVC: one run; scale {options.scale:g}.\n"
            f"\"of its limit\" divides by the `cp`, `cp` + `sync` or `find` time of the same run.\n\n" + table(rows))
    print(text)
    if options.write:
        write_between(options.write, "compare", text)
    drop_dir(home)


if __name__ == "__main__":
    main()
