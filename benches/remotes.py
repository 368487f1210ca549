#!/usr/bin/env python3
"""Compares modver with DVC, rclone and the AWS command line against one local S3 server, and writes the table in
docs/benchmarks.md.

  python3 benches/remotes.py --modver target/release/modver --garage garage [--dvc dvc] [--rclone rclone] [--aws aws]
                             [--only many,big,latency] [--tools modver,dvc,rclone,aws] [--runs 3] [--work DIR]
                             [--files 100000] [--others 5000] [--few 2000] [--mib 4096] [--delay 50]
                             [--results FILE] [--write docs/benchmarks.md]

many     --files files of 2-6 KiB, in 100 directories: push, push after one of them changed, push with nothing to do, pull
big      one file of --mib MiB of random bytes: push and pull
latency  pull of --files files with --delay ms before each request
requests push and pull of `many` and `big` once more, not timed, through a proxy that counts

Tools that send each file by itself get --others files (and --few with latency), and DVC both, to show how its time grows;
--all gives them all --files. Each tool begins with an empty server. "push" of rclone and aws is a copy of the directory
to the bucket, "pull" the way back; of modver and DVC, `push` after `add`, and `pull` into a clone without a cache.
Every figure is the median of --runs whole-process wall times (modver, rclone) or one; memory is of the largest process.
Needs Python 3, git, garage (`cargo install garage`) and the tools that are named; what is not there is left out.
--results keeps figures in a file, so that several runs make one table.
"""
import argparse, json, os, random, shutil, socket, statistics, subprocess, sys, tempfile, time, urllib.error, urllib.request

from measure import MiB, drop_dir, environment, machine, make_many, random_file, run, write_between

KEY, SECRET, BUCKET = "GK" + "be" * 12, "be" * 32, "bench"
HERE = os.path.dirname(os.path.abspath(__file__))


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Garage:
    """A server with one empty bucket. It syncs nothing to the disk, which is its default."""

    def __init__(self, options):
        self.root = f"{options.work}/garage"
        drop_dir(self.root)
        os.makedirs(self.root)
        self.port = free_port()
        rpc = free_port()
        with open(f"{self.root}/garage.toml", "w") as f:
            f.write(f'''metadata_dir = "{self.root}/meta"
data_dir = "{self.root}/data"
db_engine = "lmdb"
replication_factor = 1
compression_level = "none"
rpc_bind_addr = "127.0.0.1:{rpc}"
rpc_public_addr = "127.0.0.1:{rpc}"
rpc_secret = "{"17" * 32}"
[s3_api]
s3_region = "us-east-1"
api_bind_addr = "127.0.0.1:{self.port}"
''')
        env = os.environ | {"GARAGE_DEFAULT_ACCESS_KEY": KEY, "GARAGE_DEFAULT_SECRET_KEY": SECRET,
                            "GARAGE_DEFAULT_BUCKET": BUCKET, "RUST_LOG": "garage=warn"}
        with open(f"{self.root}/log", "w") as log:
            self.process = subprocess.Popen(
                [options.garage, "-c", f"{self.root}/garage.toml", "server", "--single-node", "--default-bucket"],
                env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=1)
            except urllib.error.HTTPError:
                break
            except OSError:
                time.sleep(0.1)
        else:
            sys.exit(f"garage does not answer; see {self.root}/log")
        time.sleep(1)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        drop_dir(self.root)


class Proxy:
    """Stands before a server and makes requests wait; see latency.py."""

    def __init__(self, port, delay):
        self.process = subprocess.Popen([sys.executable, f"{HERE}/latency.py", str(port), str(delay)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def stop(self):
        """Returns what it saw."""
        out, _ = self.process.communicate("")
        return json.loads(out)


class Tool:
    """A tool with a directory of data at one place and its copy on the server."""

    def __init__(self, options, env, name):
        self.name, self.argv = name, [getattr(options, name)]
        self.repo = f"{options.work}/{name}"
        self.env = env | {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "us-east-1",
                          "AWS_DEFAULT_REGION": "us-east-1", "AWS_EC2_METADATA_DISABLED": "true"}

    def run(self, *args):
        return run([*self.argv, *args], self.repo, self.env)

    def start(self, source, port):
        drop_dir(self.repo)
        os.makedirs(self.repo)
        run(["cp", "-r", f"{source}/.", f"{self.repo}/data"], self.repo)
        self.connect(port)
        run(["sync"], self.repo)

    def changed(self):
        """Called after something in `data` changed and before it is pushed."""

    def drop(self):
        drop_dir(f"{self.repo}/data")


class Modver(Tool):
    def connect(self, port):
        run(["git", "init", "-q"], self.repo, self.env)
        self.run("init")
        self.run("remote", "add", "store", f"s3://{BUCKET}/modver", "--endpoint", f"http://127.0.0.1:{port}", "--region", "us-east-1")
        self.changed()

    def changed(self):
        self.run("add", "data")
        run(["git", "add", "-A"], self.repo, self.env)
        run(["git", "commit", "-qm", "data"], self.repo, self.env)

    def push(self):
        return self.run("push")

    def pull(self):
        return self.run("pull")

    def move(self, port):
        self.run("remote", "modify", "store", "endpoint", f"http://127.0.0.1:{port}")

    def drop(self):
        super().drop()
        for name in ("cache", "remotes"):
            drop_dir(f"{self.repo}/.git/modver/{name}")
        for name in ("state",):
            drop_dir(f"{self.repo}/.git/modver/{name}")


class Dvc(Tool):
    def connect(self, port):
        run(["git", "init", "-q"], self.repo, self.env)
        self.run("init", "-q")
        self.run("config", "core.site_cache_dir", f"{self.repo}/.dvc/site")
        self.run("remote", "add", "-d", "store", f"s3://{BUCKET}/dvc")
        self.move(port)
        self.changed()

    def changed(self):
        self.run("add", "-q", "data")

    def push(self):
        return self.run("push", "-q")

    def pull(self):
        return self.run("pull", "-q")

    def move(self, port):
        self.run("remote", "modify", "store", "endpointurl", f"http://127.0.0.1:{port}")

    def drop(self):
        super().drop()
        for name in ("cache", "tmp", "site"):
            drop_dir(f"{self.repo}/.dvc/{name}")


class Rclone(Tool):
    def connect(self, port):
        self.env |= {"RCLONE_CONFIG_B_TYPE": "s3", "RCLONE_CONFIG_B_PROVIDER": "Other", "RCLONE_CONFIG_B_ENV_AUTH": "true",
                     "RCLONE_CONFIG_B_REGION": "us-east-1", "RCLONE_S3_NO_CHECK_BUCKET": "true", "RCLONE_CONFIG": f"{self.repo}.conf"}
        open(f"{self.repo}.conf", "w").close()
        self.move(port)

    def push(self):
        return self.run("copy", "data", f"b:{BUCKET}/rclone")

    def pull(self):
        return self.run("copy", f"b:{BUCKET}/rclone", "data")

    def move(self, port):
        self.env["RCLONE_CONFIG_B_ENDPOINT"] = f"http://127.0.0.1:{port}"


class Aws(Tool):
    def connect(self, port):
        self.move(port)

    def push(self):
        return self.run("s3", "sync", "--only-show-errors", "data", f"s3://{BUCKET}/aws")

    def pull(self):
        return self.run("s3", "sync", "--only-show-errors", f"s3://{BUCKET}/aws", "data")

    def move(self, port):
        self.env["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"


TOOLS = {"modver": Modver, "dvc": Dvc, "rclone": Rclone, "aws": Aws}
LABELS = {"modver": "modver", "dvc": "DVC", "rclone": "rclone", "aws": "aws"}


class Bench:
    def __init__(self, options, env):
        self.options, self.env = options, env
        self.results = {}
        if options.results and os.path.exists(options.results):
            with open(options.results) as f:
                self.results = json.load(f)

    def note(self, group, size, operation, tool, samples):
        """Samples: (seconds, MiB); of requests: a dictionary."""
        self.results.setdefault(f"{group}|{size}|{operation}", {})[tool] = samples
        print(f"{group} {size} {operation} {tool}: {samples}", file=sys.stderr, flush=True)
        if self.options.results:
            with open(self.options.results, "w") as f:
                json.dump(self.results, f, indent=1)

    def source(self, group, size):
        """Data that is made once."""
        path = f"{self.options.work}/source-{group}-{size}"
        if not os.path.isdir(path):
            print(f"making {path}", file=sys.stderr)
            drop_dir(path + ".new")
            if group == "many":
                make_many(path + ".new", size / 100_000)
            else:
                os.makedirs(path + ".new")
                random_file(f"{path}.new/rand.bin", size * MiB, 1)
            os.rename(path + ".new", path)
        return path

    def sizes(self, group, tool):
        options = self.options
        if group == "big":
            return [options.mib]
        if tool == "modver" or options.all:
            return [options.files]
        if group == "latency":
            return [options.few]
        return [options.few, options.others] if tool == "dvc" else [options.others]

    def tools(self):
        return [name for name in self.options.tools.split(",") if getattr(self.options, name)]

    def started(self, group, size, name, delay=None):
        """A tool whose data is not on the server yet, the server, and the proxy before it."""
        source = self.source("big" if group == "big" else "many", size)
        server = Garage(self.options)
        proxy = None if delay is None else Proxy(server.port, delay)
        tool = TOOLS[name](self.options, self.env, name)
        tool.start(source, proxy.port if proxy else server.port)
        return tool, server, proxy

    def stop(self, tool, server):
        server.stop()
        tool.drop()
        drop_dir(tool.repo)

    def pulls(self, tool):
        samples = []
        for _ in range(self.options.runs if tool.name in ("modver", "rclone") else 1):
            tool.drop()
            run(["sync"], self.options.work)
            samples.append(tool.pull()[:2])
        return samples

    def timed(self, group):
        for name in self.tools():
            for size in self.sizes(group, name):
                pushes = []
                runs = self.options.runs if name in ("modver", "rclone") else 1
                for left in reversed(range(runs)):
                    tool, server, _ = self.started(group, size, name)
                    pushes.append(tool.push()[:2])
                    if left:
                        self.stop(tool, server)
                self.note(group, size, "push", name, pushes)
                if group == "many":
                    with open(f"{tool.repo}/data/d000/f00000.bin.new", "wb") as f:
                        f.write(random.Random(5).randbytes(4096))
                    os.rename(f.name, f.name.removesuffix(".new"))
                    tool.changed()
                    run(["sync"], self.options.work)
                    self.note(group, size, "push of one changed file", name, [tool.push()[:2]])
                    self.note(group, size, "push of nothing", name, [tool.push()[:2]])
                self.note(group, size, "pull", name, self.pulls(tool))
                self.stop(tool, server)

    def latency(self):
        for name in self.tools():
            for size in self.sizes("latency", name):
                tool, server, _ = self.started("latency", size, name)
                tool.push()
                proxy = Proxy(server.port, self.options.delay)
                tool.move(proxy.port)
                self.note("latency", size, "pull", name, self.pulls(tool))
                proxy.stop()
                self.stop(tool, server)

    def requests(self):
        for group in ("many", "big"):
            for name in self.tools():
                size = self.sizes(group, name)[-1]
                tool, server, proxy = self.started(group, size, name, 0)
                tool.push()
                self.note("requests", f"{group} {size}", "push", name, proxy.stop())
                proxy = Proxy(server.port, 0)
                tool.move(proxy.port)
                tool.drop()
                tool.pull()
                self.note("requests", f"{group} {size}", "pull", name, proxy.stop())
                self.stop(tool, server)


def seconds(value):
    return f"{value:.1f} s" if value >= 10 else f"{value:.2f} s"


def cell(samples, extra=""):
    walls = [wall for wall, _ in samples]
    middle = statistics.median(walls)
    spread = f" ({min(walls):.1f} - {max(walls):.1f})" if len(walls) > 1 else ""
    return f"{seconds(middle)}{spread}{extra}, {max(m for _, m in samples):.0f} MiB"


def table(bench):
    tools = [name for name in TOOLS if any(name in row for row in bench.results.values())]
    lines = ["| | " + " | ".join(LABELS[name] for name in tools) + " |", "|---" * (len(tools) + 1) + "|"]
    for group, what in [("many", "files of 4 KiB"), ("big", "one file"), ("latency", f"files of 4 KiB, {bench.options.delay:g} ms more for each request")]:
        rows = {tuple(key.split("|")): row for key, row in bench.results.items() if key.startswith(f"{group}|")}
        for operation in dict.fromkeys(key[2] for key in rows):
            cells = []
            for name in tools:
                parts = []
                for (_, size, of), row in sorted(rows.items(), key=lambda item: int(item[0][1])):
                    if of == operation and name in row:
                        middle = statistics.median(wall for wall, _ in row[name])
                        rate = f", {int(size) / middle:,.0f} MiB/s" if group == "big" else f", {int(size) / middle:,.0f} files/s"
                        count = f"{int(size):,}: " if group != "big" else ""
                        rate = "" if "of " in operation else rate
                        parts.append(count + cell(row[name], rate))
                cells.append("<br>".join(parts))
            lines.append(f"| {what}: {operation} | " + " | ".join(cells) + " |")
    counts = {tuple(key.split("|")): row for key, row in bench.results.items() if key.startswith("requests|")}
    if counts:
        lines += ["", "Requests:", "", "| | " + " | ".join(LABELS[name] for name in tools) + " |", "|---" * (len(tools) + 1) + "|"]
        for group, what in [("many", "files of 4 KiB"), ("big", "one file")]:
            for operation in ("push", "pull"):
                cells = []
                for name in tools:
                    parts = []
                    for (_, size, of), row in counts.items():
                        if of == operation and name in row and size.startswith(group):
                            kinds = {kind: n for kind, n in row[name].items() if kind != "waits"}
                            count = f"{int(size.split()[1]):,}: " if group == "many" else ""
                            named = ", ".join(f"{n:,} {kind}" for kind, n in sorted(kinds.items()))
                            parts.append(f"{count}{sum(kinds.values()):,} ({named})")
                    cells.append("<br>".join(parts))
                lines.append(f"| {what}: {operation} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def versions(options, env):
    found = []
    for name, args in [("modver", ["--version"]), ("dvc", ["--version"]), ("rclone", ["version"]), ("aws", ["--version"]), ("garage", ["--version"])]:
        if getattr(options, name):
            text = run([getattr(options, name), *args], options.work, env)[2].split("\n")[0].split(" [")[0]
            found.append(text.split(" Python")[0] if name == "aws" else f"DVC {text}" if name == "dvc" else text.replace("cargo:", ""))
    return ", ".join(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--modver", required=True)
    for name in ("garage", "dvc", "rclone", "aws"):
        parser.add_argument(f"--{name}", default=shutil.which(name))
    parser.add_argument("--only", default="many,big,latency,requests")
    parser.add_argument("--tools", default=",".join(TOOLS))
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--work")
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--others", type=int, default=5_000)
    parser.add_argument("--few", type=int, default=2_000)
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--mib", type=int, default=4096)
    parser.add_argument("--delay", type=float, default=50)
    parser.add_argument("--results")
    parser.add_argument("--write", help="a Markdown file with the lines <!-- remotes --> and <!-- /remotes -->")
    options = parser.parse_args()
    if not options.garage:
        parser.error("there is no garage: cargo install garage")
    for name in ("modver", "garage", "dvc", "rclone", "aws"):
        if getattr(options, name):
            setattr(options, name, os.path.abspath(getattr(options, name)))
    options.work = os.path.abspath(options.work or tempfile.mkdtemp(prefix="modver-bench-"))
    os.makedirs(options.work, exist_ok=True)
    env = environment(f"{options.work}/home")
    bench = Bench(options, env)
    for group in filter(None, options.only.split(",")):
        {"many": lambda: bench.timed("many"), "big": lambda: bench.timed("big"), "latency": bench.latency, "requests": bench.requests}[group]()
    text = (f"{versions(options, env)}; {machine()}; warm page cache; modver and rclone: median of {options.runs} (range), "
            f"others: one run.\n\n" + table(bench))
    print(text)
    if options.write:
        write_between(options.write, "remotes", text)
    drop_dir(f"{options.work}/home")


if __name__ == "__main__":
    main()
