"""What the programs in this directory have in common: running, data, figures, tables in documents."""
import atexit, os, platform, random, shutil, statistics, subprocess, sys, tempfile, time

MiB = 1 << 20


def run(argv, cwd, env=None, check=True):
    """Runs a command; returns (wall seconds, peak MiB, stdout)."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = subprocess.Popen(argv, cwd=cwd, env=env, stdout=out, stderr=err, stdin=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - start
        child.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        text = out.read().decode(errors="replace")
        if check and child.returncode:
            sys.exit(f"{argv} failed with {child.returncode}:\n{text}\n{err.read().decode(errors='replace')}")
    return wall, usage.ru_maxrss / 1024, text


def random_file(path, size, seed):
    rng = random.Random(seed)
    with open(path, "wb") as f:
        while size:
            n = min(size, 16 * MiB)
            f.write(rng.randbytes(n))
            size -= n


def make_big(root, scale):
    os.makedirs(root)
    random_file(f"{root}/rand.bin", int(4096 * scale) * MiB, 1)


def change_big(root):
    path = f"{root}/rand.bin"
    size = os.stat(path).st_size
    with open(path, "rb") as src, open(path + ".new", "wb") as dst:
        left = size // 2
        while left:
            left -= dst.write(src.read(min(left, 16 * MiB)))
        dst.write(random.Random(2).randbytes(MiB))
        shutil.copyfileobj(src, dst, 16 * MiB)
    os.rename(path + ".new", path)


def many_files(scale):
    for d in range(100):
        for f in range(max(1, int(1000 * scale))):
            yield d, f


def make_many(root, scale):
    rng = random.Random(3)
    for d, f in many_files(scale):
        if f == 0:
            os.makedirs(f"{root}/d{d:03}")
        with open(f"{root}/d{d:03}/f{f:05}.bin", "wb") as out:
            out.write(rng.randbytes(rng.randrange(2048, 6145)))


def change_many(root):
    rng = random.Random(4)
    n = 0
    for d, _, files in sorted(os.walk(root)):
        for name in sorted(files):
            n += 1
            if n % 100 == 0:
                path = os.path.join(d, name)
                data = rng.randbytes(os.stat(path).st_size)
                os.unlink(path)
                with open(path, "wb") as out:
                    out.write(data)


dropped = []


def drop_dir(path):
    """Takes a directory away. Its small files are deleted at the end only: for half a minute after many files were deleted,
    ext4 without a journal takes several times as long to make new ones, and that would be measured instead."""
    if not os.path.isdir(path):
        return
    for d, _, files in os.walk(path):
        for name in files:
            if os.lstat(os.path.join(d, name)).st_size > MiB:
                os.unlink(os.path.join(d, name))
    aside = tempfile.mkdtemp(prefix="dropped-", dir=trash_of(path))
    os.rename(path, os.path.join(aside, "it"))
    dropped.append(aside)


def trash_of(path):
    """A directory on the same file system and outside of all repositories."""
    parent = os.path.dirname(os.path.abspath(path))
    while parent != "/" and any(os.path.exists(os.path.join(d, ".git")) for d in ancestors(parent)):
        parent = os.path.dirname(parent)
    return parent


def ancestors(path):
    while path != "/":
        yield path
        path = os.path.dirname(path)


@atexit.register
def empty_trash():
    for path in dropped:
        shutil.rmtree(path, ignore_errors=True)


def median(samples):
    return statistics.median(w for w, *_ in samples), max(m for _, m, *_ in samples)


def du(path):
    total = 0
    for d, _, files in os.walk(path):
        total += sum(os.lstat(os.path.join(d, f)).st_size for f in files)
    return total


def figure(operation, value):
    if operation.startswith("bytes"):
        return f"{value / MiB:.2f} MiB"
    return f"{value:.2f} s" if value >= 0.1 else f"{value * 1000:.0f} ms"


def environment(home):
    """The environment of every tool: nothing of the user's."""
    os.makedirs(home, exist_ok=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("MODVER_", "DVC_", "GIT_", "AWS_", "RCLONE_"))}
    return env | {"HOME": home, "DVC_NO_ANALYTICS": "1", "GIT_CONFIG_NOSYSTEM": "1",
                  "GIT_AUTHOR_NAME": "b", "GIT_AUTHOR_EMAIL": "b@b", "GIT_COMMITTER_NAME": "b", "GIT_COMMITTER_EMAIL": "b@b"}


def machine():
    return f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release().split('-')[0]}"


def write_between(path, mark, text):
    """Puts `text` between the lines <!-- mark --> and <!-- /mark --> of a document."""
    with open(path) as f:
        before, rest = f.read().split(f"<!-- {mark} -->")
        _, after = rest.split(f"<!-- /{mark} -->")
    with open(path, "w") as f:
        f.write(f"{before}<!-- {mark} -->\n{text}\n<!-- /{mark} -->{after}")
