#!/usr/bin/env python3
"""Measures what `modver repro` costs beside what it runs, and DVC on the same stages; writes the table in docs/benchmarks.md.

  python3 benches/pipelines.py --modver target/release/modver [--dvc dvc] [--work DIR] [--runs 5] [--scale 1.0]
                               [--only unchanged,plan,sleep,trivial,files] [--write docs/benchmarks.md]

unchanged  1,000 stages in chains of ten, each copying a file of some bytes; nothing changed
plan       10,000 such stages that never ran: `repro --dry-run`
sleep      8 stages of `sleep 1`, with -j8
trivial    100 stages one after the other: of `true`, and of one that makes a small output
files      a stage that depends on 100,000 files; nothing changed; with the calls of the stat family, if there is strace
Needs Python 3 and git. DVC is left out if it is not there, and where it would take many minutes.
Every figure is the median of --runs whole-process wall times (of DVC: of one to three).
"""
import argparse, json, os, shutil, statistics, sys, tempfile

from measure import drop_dir, environment, figure, machine, run, write_between

CHAIN = 10


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


class Project:
    """A scratch repository with stages: (name, command, dependencies, outputs)."""

    def __init__(self, tool, options, env, name, stages):
        self.tool, self.env = tool, env
        self.argv = [options.modver if tool == "modver" else options.dvc]
        self.repo = f"{options.work}/{name}-{tool}"
        drop_dir(self.repo)
        os.makedirs(self.repo)
        run(["git", "init", "-q"], self.repo, env)
        self("init")
        if tool == "modver":
            text = "".join(
                f"[stages.{name}]\ncmd = {cmd!r}\ndeps = {deps!r}\nouts = {outs!r}\n\n" for name, cmd, deps, outs in stages
            )
            with open(f"{self.repo}/mv.toml", "a") as f:
                f.write("\n" + text)
        else:
            lines = ["stages:"]
            for name, cmd, deps, outs in stages:
                lines += [f"  {name}:", f"    cmd: {json.dumps(cmd)}"]
                for key, paths in [("deps", deps), ("outs", outs)]:
                    lines += [f"    {key}:"] + [f"    - {path}" for path in paths] if paths else []
            write(f"{self.repo}/dvc.yaml", "\n".join(lines) + "\n")

    def __call__(self, *args, **more):
        return run([*self.argv, *args], self.repo, self.env, **more)

    def commit(self):
        run(["git", "add", "-A"], self.repo, self.env)
        run(["git", "commit", "-qm", "stages"], self.repo, self.env)

    def median(self, runs, *args):
        samples = [self(*args) for _ in range(runs)]
        return statistics.median(wall for wall, *_ in samples), max(memory for _, memory, _ in samples)


def copies(count):
    for n in range(count):
        source = f"in/{n}.txt" if n % CHAIN == 0 else f"out/{n - 1}.txt"
        yield f"s{n}", f"cp {source} out/{n}.txt", [source], [f"out/{n}.txt"]


def make_inputs(repo, count):
    os.makedirs(f"{repo}/out", exist_ok=True)
    for n in range(0, count, CHAIN):
        write(f"{repo}/in/{n}.txt", f"input {n}\n")


def bench_unchanged(options, env, rows):
    count = max(CHAIN, int(1000 * options.scale))
    label = f"no-op `repro`, {count:,} stages"
    project = Project("modver", options, env, "unchanged", copies(count))
    make_inputs(project.repo, count)
    project.commit()
    wall, _, _ = project("repro", "-q")
    print(f"{count} stages that copy: {wall:.2f} s", file=sys.stderr)
    project.commit()
    project("repro")
    rows.append((label, "≤ 100 ms, ≥ 30 × DVC", "modver", *project.median(options.runs, "repro")))
    drop_dir(project.repo)
    if options.dvc:
        project = Project("dvc", options, env, "unchanged", copies(count))
        make_inputs(project.repo, count)
        for n in range(count):
            shutil.copy(f"{project.repo}/in/{n - n % CHAIN}.txt", f"{project.repo}/out/{n}.txt")
        # Writes dvc.lock without running anything.
        project("commit", "-f", "-q")
        project.commit()
        project("repro")
        rows.append((label, "", "dvc", *project.median(min(options.runs, 3), "repro")))
        drop_dir(project.repo)


def bench_plan(options, env, rows):
    count = max(CHAIN, int(10000 * options.scale))
    project = Project("modver", options, env, "plan", copies(count))
    make_inputs(project.repo, count)
    project.commit()
    wall, memory = project.median(options.runs, "repro", "--dry-run")
    rows.append((f"`repro --dry-run`, {count:,} stages that never ran", "≤ 1 s", "modver", wall, memory))
    drop_dir(project.repo)


def bench_sleep(options, env, rows):
    stages = [(f"s{n}", "sleep 1", [], []) for n in range(8)]
    for tool in tools(options):
        project = Project(tool, options, env, "sleep", stages)
        project.commit()
        args = ["repro", "-f", "-j8"] if tool == "modver" else ["repro", "-f"]
        runs = min(options.runs, 3) if tool == "modver" else 1
        rows.append(("8 stages of `sleep 1`, `-j8` (DVC: one by one)", "≤ 1.3 s", tool, *project.median(runs, *args)))
        drop_dir(project.repo)


def bench_trivial(options, env, rows):
    count = max(1, int(100 * options.scale))
    sets = [
        ("`true`", [(f"s{n}", "true", [], []) for n in range(count)]),
        ("one small output", [(f"s{n}", f"echo {n} > out{n}.txt", [], [f"out{n}.txt"]) for n in range(count)]),
    ]
    for label, stages in sets:
        for tool in tools(options):
            project = Project(tool, options, env, "trivial", stages)
            project.commit()
            args = ["repro", "-f", "-q"] + (["-j1"] if tool == "modver" else [])
            wall, memory = project.median(min(options.runs, 3) if tool == "modver" else 1, *args)
            rows.append((f"per stage that runs, of {count}, one by one: {label}", "≤ 30 ms", tool, wall / count, memory))
            drop_dir(project.repo)


def bench_files(options, env, rows):
    count = max(100, int(100000 * options.scale))
    stages = [("use", "ls data | wc -l > count.txt", ["data"], ["count.txt"])]
    label = f"no-op `repro`, one stage, {count:,} files in its dependency"
    for tool in tools(options):
        project = Project(tool, options, env, "files", stages)
        for n in range(count):
            write(f"{project.repo}/data/d{n % 100:02}/f{n}.txt", f"{n}\n")
        write(f"{project.repo}/.gitignore", "/data\n/count.txt\n")
        run(["sync"], project.repo)
        project("repro", "-q")
        project.commit()
        project("repro")
        rows.append((label, "", tool, *project.median(options.runs if tool == "modver" else 1, "repro")))
        if tool == "modver" and shutil.which("strace"):
            trace = f"{options.work}/trace"
            calls = "lstat,stat,newfstatat,fstatat64,statx"
            run(["strace", "-f", "-o", trace, "-e", f"trace={calls}", *project.argv, "repro"], project.repo, env)
            with open(trace) as f:
                lines = f.readlines()
            # fstat of an open file is newfstatat with an empty path.
            total = sum("(" in line and '""' not in line for line in lines)
            files = sum(".txt" in line and "/f" in line or '"f' in line and '.txt"' in line for line in lines)
            rows.append(("calls of `lstat`, `stat`, `statx` in it: all; of these, of the files", f"{count:,}", "modver", f"{total:,}; {files:,}", None))
            os.unlink(trace)
        drop_dir(project.repo)


def tools(options):
    return ["modver", "dvc"] if options.dvc else ["modver"]


def table(rows):
    lines = ["| | limit | modver | peak memory | DVC | DVC ÷ modver |", "|---|---|---|---|---|---|"]
    for label in dict.fromkeys(row[0] for row in rows):
        by = {row[2]: row for row in rows if row[0] == label}
        modver, dvc = by["modver"], by.get("dvc")
        if isinstance(modver[3], str):
            lines.append(f"| {label} | {modver[1]} | {modver[3]} | | | |")
            continue
        other = figure(label, dvc[3]) if dvc else ""
        ratio = f"{dvc[3] / modver[3]:.1f}" if dvc else ""
        lines.append(f"| {label} | {modver[1]} | {figure(label, modver[3])} | {modver[4]:.0f} MiB | {other} | {ratio} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modver", required=True)
    parser.add_argument("--dvc", default=shutil.which("dvc"))
    parser.add_argument("--work")
    parser.add_argument("--only", default="unchanged,plan,sleep,trivial,files")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--write", help="a Markdown file with the lines <!-- pipelines --> and <!-- /pipelines -->")
    options = parser.parse_args()
    options.modver = os.path.abspath(options.modver)
    options.dvc = options.dvc and os.path.abspath(options.dvc)
    options.work = os.path.abspath(options.work or tempfile.mkdtemp(prefix="modver-bench-"))
    home = f"{options.work}/home"
    env = environment(home)
    sets = {"unchanged": bench_unchanged, "plan": bench_plan, "sleep": bench_sleep, "trivial": bench_trivial, "files": bench_files}
    rows = []
    for name in options.only.split(","):
        print(name, file=sys.stderr)
        sets[name](options, env, rows)
        print(table(rows), file=sys.stderr)
    version = run([options.modver, "--version"], options.work, env)[2].strip()
    dvc = run([options.dvc, "--version"], options.work, env)[2].strip() if options.dvc else "none"
    text = (f"{version}, DVC {dvc}; {machine()}; "
            f"warm page cache; modver: median of {options.runs}, DVC: of one to three; scale {options.scale:g}.\n\n" + table(rows))
    print(text)
    if options.write:
        write_between(options.write, "pipelines", text)
    drop_dir(home)


if __name__ == "__main__":
    main()
