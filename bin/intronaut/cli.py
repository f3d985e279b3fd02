"""The manners every tool keeps: options, errors and exit codes, whole outputs, progress.

Standard library only, so that ``--help`` and ``--version`` answer at once.
"""

import argparse
import contextlib
import errno
import hashlib
import io
import os
import shutil
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path

from intronaut import __version__

SHOWN_PROBLEMS = 20
LOG_EVERY_SECONDS = 60
# LightGBM keeps its seeds in 32 bits with a sign; --seeds counts up from it
LARGEST_SEED = 2**31 - 1 - 1000


class ToolError(Exception):
    """An expected failure: its text is the one line the user sees, ``code`` the exit code."""

    code = 1


class UsageError(ToolError):
    """Options that do not fit together."""

    code = 2


class BadData(ToolError):
    """An input that is there but cannot be right."""

    code = 65


class MissingInput(ToolError):
    """An input that is not there or cannot be opened."""

    code = 66


class CannotWrite(ToolError):
    """An output that cannot be written: full disk, read-only folder."""

    code = 73


class TryAgain(ToolError):
    """A failure that may pass: out of memory on the device, network down."""

    code = 75


class Terminated(BaseException):
    """SIGTERM, raised as an exception so that half-written outputs are removed."""


class Problems:
    """Collects every problem of one input, so that the user mends them in one go."""

    def __init__(self, where):
        self.where = where
        self.lines = []
        self.count = 0

    def add(self, what, line=None):
        """Record one problem; ``line`` is the 1-based line number in the input."""
        self.count += 1
        if len(self.lines) < SHOWN_PROBLEMS:
            self.lines.append(f"line {line}: {what}" if line is not None else what)

    def raise_if_any(self):
        """Raise BadData with the first 20 problems and the count."""
        if not self.count:
            return
        if self.count == 1:
            raise BadData(f"{self.where}: {self.lines[0]}")
        rest = f"\n  … and {self.count - len(self.lines)} more" if self.count > len(self.lines) else ""
        raise BadData(f"{self.where}: {self.count} problems\n  " + "\n  ".join(self.lines) + rest)


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=30, width=100)

    def _get_help_string(self, action):
        hidden = (None, False, argparse.SUPPRESS)
        if "%(default)" in (action.help or "") or action.default in hidden or not action.option_strings:
            return action.help
        return f"{action.help} [%(default)s]"


class _Parser(argparse.ArgumentParser):
    def parse_args(self, args=None, namespace=None):
        found = super().parse_args(args, namespace)
        self._refuse_shared_files(vars(found))
        return found

    def _refuse_shared_files(self, found):
        """An output must not be an input, which would be gone, nor another output."""
        outputs = [a for a in self._actions if a.dest == "output" or getattr(a.container, "title", "") == "output"]
        named = {}
        for action in sorted(self._actions, key=outputs.__contains__):
            values = found.get(action.dest)
            for value in values if isinstance(values, list) else [values]:
                if action.type or not isinstance(value, str) or value == "-":
                    continue
                path = os.path.realpath(value)
                if os.path.exists(path) and not os.path.isfile(path):
                    continue
                name = (action.option_strings or [action.dest])[-1]
                if action in outputs and path in named:
                    self.error(f"{name} {value} is also {named[path]}; name another file")
                if action in outputs or os.path.isfile(path):
                    named[path] = name

    def error(self, message):
        self.exit(UsageError.code, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def parser(doc, prog):
    """An argument parser for the tool ``prog`` that shows ``doc``, defaults, and --version."""
    made = _Parser(prog=prog, description=doc, formatter_class=_HelpFormatter, allow_abbrev=False)
    made.add_argument("--version", action="version", version=f"{prog} {__version__}")
    return made


def add_run_options(made, *, threads=False, device=False, seed=False):
    """Add the options that say how to run rather than what to compute."""
    group = made.add_argument_group("running")
    if threads:
        group.add_argument("--threads", type=positive_int, default=default_threads(), metavar="N", help="CPU threads")
    if device:
        group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    if seed:
        group.add_argument("--seed", type=seed_number, default=1, metavar="N", help="seed of every random choice")
    noise = group.add_mutually_exclusive_group()
    noise.add_argument("--quiet", action="store_true", help="say nothing but errors")
    noise.add_argument("--verbose", action="store_true", help="say more")


def refuse_without_effect(made, args, names, why):
    """Raise UsageError when options of the parser ``made`` differ from their defaults though they would do nothing."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) != made.get_default(name)]
    if given:
        raise UsageError(f"{', '.join(given)}: without effect {why}")


def add_embedding_options(made, unit="windows"):
    """Add the options that all neural embedders share; ``unit`` is what a batch counts."""
    group = made.add_argument_group("precision and speed")
    group.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="to compute in")
    group.add_argument("--store", choices=("float32", "float16"), default="float32",
                       help="to write in; float16 halves the file and rounds to 1 part in 2,048")  # fmt: skip
    group.add_argument("--batch-size", type=batch_size, default="auto", metavar="N", help=f"{unit} in a batch, or auto")
    group.add_argument("--estimate", action="store_true",
                       help="only say, after a few batches, how long the run takes, its disk and memory")  # fmt: skip


def batch_size(text):
    """argparse type: auto, or a whole number of at least 1."""
    return text if text == "auto" else positive_int(text)


def default_threads():
    """Up to four of the processors this process may use: never the whole machine unasked."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, usable)


def positive_int(text):
    """argparse type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def whole_number(text):
    """argparse type: a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def seed_number(text):
    """argparse type: a seed that every library takes."""
    seed = whole_number(text)
    if seed > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LARGEST_SEED}")
    return seed


def positive_float(text):
    """argparse type: a finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def not_negative(text):
    """argparse type: a finite number of at least 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def fraction(text):
    """argparse type: a number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def _number(text):
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def run(main, prog):
    """Run ``main(argv)`` as a program: map every expected failure to one line and its exit code."""
    signal.signal(signal.SIGTERM, _raise_terminated)
    try:
        code = main(sys.argv[1:]) or 0
        if sys.stdout:
            sys.stdout.flush()
    except ToolError as problem:
        print(f"{prog}: error: {problem}", file=sys.stderr)
        code = problem.code
    except BrokenPipeError:
        _forget_stdout()
        code = 0
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        code = 130
    except Terminated:
        code = 143
    except ModuleNotFoundError as problem:
        advice = "use the environment of `make`, or an image"
        print(f"{prog}: error: Python package {problem.name} is not installed; {advice}", file=sys.stderr)
        code = ToolError.code
    except MemoryError:
        print(f"{prog}: error: out of memory; give the tool more or lower its batch size", file=sys.stderr)
        code = TryAgain.code
    except OSError as problem:
        code = _os_error_code(problem)
        if code is None:
            raise
        print(f"{prog}: error: {problem.filename or 'standard output'}: {problem.strerror}", file=sys.stderr)
        _forget_stdout()
    sys.exit(code)


def _forget_stdout():
    """Point stdout at nothing, so that the interpreter's own last flush of it cannot fail."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _raise_terminated(signum, frame):
    raise Terminated


def _os_error_code(problem):
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        return CannotWrite.code
    if problem.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG):
        return MissingInput.code
    return None


def require_file(path):
    """Return ``path`` as a Path when it is a readable file (or ``-``), else raise MissingInput."""
    if str(path) == "-":
        if sys.stdin is None:
            raise MissingInput("-: standard input is closed")
        return path
    path = Path(path)
    try:
        found = path.stat()
    except OSError as problem:
        raise MissingInput(f"{path}: {problem.strerror}") from problem
    if stat.S_ISDIR(found.st_mode):
        raise MissingInput(f"{path}: is a folder, not a file")
    if not os.access(path, os.R_OK):
        raise MissingInput(f"{path}: cannot be read; check its permissions")
    return path


def digest_file(path):
    """The sha256 of a file's bytes, as hex."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def part_path(path):
    """Where an unfinished output lives: beside its final name, hidden."""
    path = Path(path)
    return path.with_name(f".{path.name}.{os.getpid()}.part")


@contextlib.contextmanager
def whole_file(path, mode="w"):
    """Open an output that appears under ``path`` only when it is complete.

    ``-`` is standard output; what is no regular file, such as a named pipe, is written as it is. A name that ends in
    .gz or .bgz is written as bgzf. A link stays and its target is replaced. Raises CannotWrite.
    """
    if str(path) in ("-", "/dev/stdout"):
        if sys.stdout is None:
            raise CannotWrite("-: standard output is closed")
        yield sys.stdout if "b" not in mode else sys.stdout.buffer
        return
    final = Path(os.path.realpath(path))
    special = final.exists() and not final.is_file()
    part = final if special else part_path(final)
    try:
        final.parent.mkdir(parents=True, exist_ok=True)
        with _open_part(part, final, mode) as handle:
            yield handle
            handle.flush()
        if not special:
            _sync(part)
            part.replace(final)
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise CannotWrite(f"{path}: cannot write: {problem.strerror or problem}") from problem
    finally:
        if not special:
            with contextlib.suppress(OSError):
                part.unlink()


def _open_part(part, path, mode):
    if path.suffix in (".gz", ".bgz"):
        from Bio.bgzf import BgzfWriter

        # on DNA, level 1 is seven times as fast as the usual 6 for a sixth more bytes
        raw = BgzfWriter(part, "wb", compresslevel=1)
        return raw if "b" in mode else _TextOver(raw)
    return open(part, mode, **({} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}))


class _TextOver(io.TextIOBase):
    """UTF-8 text over a BgzfWriter, whose own text mode is Latin-1."""

    def __init__(self, raw):
        self.raw = raw

    def write(self, text):
        self.raw.write(text.encode())
        return len(text)

    def flush(self):
        # BgzfWriter.flush ends the block; leave that to close, so that the bytes do not depend on when we flush
        pass

    def close(self):
        if not self.closed:
            self.raw.close()
        super().close()


@contextlib.contextmanager
def whole_folder(path, stale=()):
    """Yield a hidden folder whose content appears in ``path`` only when the block ends well. Raises CannotWrite.

    A folder that is already there keeps what else it holds, except what matches the patterns ``stale``: all that the
    tool may write, so that no file of an earlier run stands beside those of this one.
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent))
        # mkdtemp makes it private; the finished folder follows the user's umask like any other output
        umask = os.umask(0)
        os.umask(umask)
        part.chmod(0o777 & ~umask)
    except OSError as problem:
        raise CannotWrite(f"{path}: cannot write: {problem.strerror}") from problem
    try:
        yield part
        if path.is_dir():
            _move_into(part, path, stale)
        else:
            part.replace(path)
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise CannotWrite(f"{path}: cannot write: {problem.strerror or problem}") from problem
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _move_into(part, folder, stale):
    for old in [item for pattern in stale for item in folder.glob(pattern)]:
        _remove(old)
    for item in part.iterdir():
        target = folder / item.name
        if target.is_dir():
            _remove(target)
        item.replace(target)


def _remove(item):
    if item.is_dir() and not item.is_symlink():
        shutil.rmtree(item)
    else:
        item.unlink(missing_ok=True)


def _sync(path):
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Log:
    """What a tool tells its user on stderr: notes, warnings, progress with rate and ETA."""

    def __init__(self, prog, args):
        self.prog = prog
        self.quiet = getattr(args, "quiet", False)
        self.chatty = getattr(args, "verbose", False)

    def note(self, text):
        """Say what was done."""
        if not self.quiet:
            print(f"{self.prog}: {text}", file=sys.stderr)

    def detail(self, text):
        """Say it only with --verbose."""
        if self.chatty:
            self.note(text)

    def warn(self, text):
        """Say what the user should look at."""
        self.note(f"warning: {text}")

    def progress(self, total, unit):
        """A context manager whose ``.add(n)`` counts finished units."""
        return _Progress(self, total, unit)


class _Progress:
    """A live bar on a terminal, one line a minute in a log."""

    def __init__(self, log, total, unit):
        self.log, self.total, self.unit = log, total, unit
        self.done = 0

    def __enter__(self):
        self.started = self.told = time.monotonic()
        self.bar = None
        if sys.stderr.isatty() and not self.log.quiet:
            self.bar = _rich_bar(self.unit)
            self.task = self.bar.add_task(self.log.prog, total=self.total)
            self.bar.start()
        return self

    def __exit__(self, *raised):
        if self.bar:
            self.bar.stop()

    def add(self, n):
        self.done += n
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.task, completed=self.done)
        elif now - self.told >= LOG_EVERY_SECONDS:
            self.told = now
            rate = self.done / (now - self.started)
            left = (self.total - self.done) / rate if rate else float("inf")
            self.log.note(f"{self.done:,} of {self.total:,} {self.unit}, {rate:.3g}/s, {left / 60:.0f} min left")


def _rich_bar(unit):
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit)
    return Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))
