"""The manners every tool keeps: options, errors and exit codes, whole outputs, progress.

Standard library only, so that ``--help`` and ``--version`` answer at once.
"""

import argparse
import ast
import errno
import importlib.util
import os
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NoReturn

from intronaut import __version__
from intronaut.core.errors import (
    CannotWrite,
    MissingInput,
    Terminated,
    ToolError,
    TryAgain,
    UsageError,
    is_out_of_memory,
)
from intronaut.core.pipes import copied_pipes

# LightGBM keeps its seeds in 32 bits with a sign; --seeds counts up from it
LARGEST_SEED = 2**31 - 1 - 1000
# endings that promise what no tool writes
UNWRITTEN = (".parquet", ".feather", ".arrow", ".csv", ".xlsx", ".xls", ".rds", ".npz", ".npy")


# what options are added to: a parser, or a group of its options
OptionGroup = argparse._ActionsContainer


class _HelpFormatter(argparse.RawDescriptionHelpFormatter):
    def __init__(self, prog):
        super().__init__(prog, max_help_position=30, width=100)

    def _get_help_string(self, action):
        hidden = (None, False, [], "", argparse.SUPPRESS)
        if "%(default)" in (action.help or "") or action.default in hidden or not action.option_strings:
            return action.help
        return f"{action.help} [%(default)s]"


class _Parser(argparse.ArgumentParser):
    def parse_args(self, args=None, namespace=None):
        options = super().parse_args(args, namespace)
        outputs = [a for a in self._actions if a.dest == "output" or getattr(a.container, "title", "") == "output"]
        self._refuse_unwritten(vars(options), outputs)
        self._refuse_shared_files(vars(options), outputs)
        return options

    def _refuse_unwritten(self, options, outputs):
        """A file must hold what its name says."""
        for action in outputs:
            value = options.get(action.dest)
            if isinstance(value, str) and action.metavar not in ("FOLDER", "DIR") and value.endswith(UNWRITTEN):
                self.error(f"{value}: no tool writes that format; name tables .tsv or .tsv.gz, features .h5ad")

    def _refuse_shared_files(self, options, outputs):
        """An output must not be an input, which would be gone, nor another output."""
        named = {}
        for action in sorted(self._actions, key=outputs.__contains__):
            values = options.get(action.dest)
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


def new_parser(doc: str, prog: str) -> argparse.ArgumentParser:
    """An argument parser for the tool ``prog`` that shows ``doc``, defaults, and --version."""
    parser = _Parser(prog=prog, description=doc, formatter_class=_HelpFormatter, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{prog} {__version__}")
    return parser


def add_run_options(parser: OptionGroup, *, threads: bool = False, device: bool = False, seed: bool = False) -> None:
    """Add the options that say how to run rather than what to compute."""
    group = parser.add_argument_group("running")
    if threads:
        group.add_argument("--threads", type=positive_int, default=default_threads(), metavar="N", help="CPU threads")
    if device:
        group.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:N or mps")
    if seed:
        group.add_argument("--seed", type=seed_number, default=1, metavar="N", help="seed of every random choice")
    noise = group.add_mutually_exclusive_group()
    noise.add_argument("--quiet", action="store_true", help="print only errors")
    noise.add_argument("--verbose", action="store_true", help="print details too")


def add_covariates_option(group: OptionGroup) -> None:
    """Add ``--covariates`` and ``--allow-missing``, which :mod:`intronaut.io.covariates` reads, to a group."""
    group.add_argument(
        "--covariates",
        nargs="+",
        default=[],
        metavar="FILE|NAME",
        help="further covariates: a table with a column name, intron_id, gene_id or gene_name and numbers, such as "
        "expression or mappability; or columns of the labels; with NAME or log:NAME after a table only these",
    )
    group.add_argument("--allow-missing", action="store_true", help="take covariates that most windows lack, too")


def refuse_without_effect(
    parser: argparse.ArgumentParser, args: argparse.Namespace, names: Iterable[str], why: str
) -> None:
    """Raise UsageError when options of the parser differ from their defaults though they would do nothing."""
    given = [f"--{name.replace('_', '-')}" for name in names if getattr(args, name) != parser.get_default(name)]
    if given:
        raise UsageError(f"{', '.join(given)}: without effect {why}")


def add_embedding_options(parser: OptionGroup, unit: str = "windows") -> None:
    """Add the options that all neural embedders share; ``unit`` is what a batch counts."""
    group = parser.add_argument_group("precision and speed")
    group.add_argument("--dtype", choices=("float32", "bfloat16", "float16"), default="float32", help="to compute in")
    group.add_argument("--store", choices=("float32", "float16"), default="float32",
                       help="to write in; float16 halves the file and rounds to 1 part in 2,048")  # fmt: skip
    group.add_argument("--batch-size", type=batch_size, default="auto", metavar="N", help=f"{unit} in a batch, or auto")
    group.add_argument("--estimate", action="store_true",
                       help="only estimate, from a few batches, the time, disk and memory of the run")  # fmt: skip
    add_record_cost(group)


def add_cache_options(parser: OptionGroup) -> None:
    """Add ``--cache`` and ``--cache-gb``, which :func:`intronaut.features.embed.open_cache` reads."""
    group = parser.add_argument_group("reuse")
    group.add_argument("--cache", metavar="FOLDER",
                       help="features of windows by their sequence, model and options, shared by any number of runs: "
                       "what is there is not computed again")  # fmt: skip
    group.add_argument("--cache-gb", type=positive_float, default=20, metavar="N",
                       help="size of --cache at the end of a run: the least recently used are deleted")  # fmt: skip


def add_record_cost(group: OptionGroup) -> None:
    """Add ``--record-cost`` to an argument group."""
    group.add_argument("--record-cost", action="store_true",
                       help="also record time and memory in the file, which then differs between two runs")  # fmt: skip


def add_windows(group: OptionGroup) -> None:
    """Add the windows to read, a FASTA file, to a parser or a group of options."""
    group.add_argument("windows", metavar="FASTA", help="windows of fetch_sequences, plain or gzip, or -")


def add_output_folder(parser: OptionGroup, text: str = "folder to write") -> OptionGroup:
    """Add ``--output``, a folder, described by ``text``; returns its group, for what else is written."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", required=True, metavar="FOLDER", help=text)
    return group


def add_features_output(parser: OptionGroup, *, required: bool = True) -> None:
    """Add ``--output`` of the tools that write features; not required of those that may only estimate a run."""
    group = parser.add_argument_group("output")
    group.add_argument("-o", "--output", required=required, metavar="FILE", help="features file to write, .h5ad")


def add_evaluation_options(parser: OptionGroup) -> OptionGroup:
    """Add what fit and finetune are evaluated by; returns its group, for what only one of them has."""
    group = parser.add_argument_group("evaluation")
    group.add_argument("--folds", type=positive_int, metavar="N", help="N folds of whole groups; ignore column split")
    group.add_argument(
        "--bootstrap", type=positive_int, default=2000, metavar="N", help="replicates, for metrics that jump"
    )
    return group


def add_chrom_aliases(group: OptionGroup) -> None:
    """Add the table of chromosome names, for tools that match inputs from different sources."""
    group.add_argument(
        "--chrom-aliases", metavar="FILE", help="names of each chromosome: UCSC chromAlias or NCBI assembly report"
    )


def add_window_options(
    parser: OptionGroup, title: str = "windows", *, length: int | None = 600, length_help: str = "bases in a window"
) -> None:
    """Add how windows are cut from the genome: anchor, length, strand and edge."""
    group = parser.add_argument_group(title)
    group.add_argument(
        "--anchor", choices=("centre", "donor", "acceptor"), default="centre", help="what the window is centred on"
    )
    group.add_argument("--length", type=positive_int, default=length, metavar="N", help=length_help)
    group.add_argument(
        "--strand", choices=("aware", "forward"), default="aware", help="read minus rows as reverse complement, or not"
    )
    group.add_argument(
        "--edge", choices=("pad", "shift", "drop"), default="pad",
        help="a window past a chromosome's end: fill with N, move it inside, or leave it out",
    )  # fmt: skip


def batch_size(text: str) -> int | str:
    """argparse type: auto, or a whole number of at least 1."""
    return text if text == "auto" else positive_int(text)


def default_threads() -> int:
    """Up to four of the processors this process may use: never the whole machine unasked."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(4, usable)


def positive_int(text: str) -> int:
    """argparse type: a whole number of at least 1."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def whole_number(text: str) -> int:
    """argparse type: a whole number of at least 0."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def seed_number(text: str) -> int:
    """argparse type: a seed that every library takes."""
    seed = whole_number(text)
    if seed > LARGEST_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is more than {LARGEST_SEED}")
    return seed


def positive_float(text: str) -> float:
    """argparse type: a finite number above 0."""
    value = _number(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not above 0")
    return value


def not_negative(text: str) -> float:
    """argparse type: a finite number of at least 0."""
    value = _number(text)
    if not 0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def finite(text: str) -> float:
    """argparse type: a finite number."""
    value = _number(text)
    if not abs(value) < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a finite number")
    return value


def fraction(text: str) -> float:
    """argparse type: a number from 0 to 1."""
    value = _number(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not between 0 and 1")
    return value


def two_numbers(text: str) -> tuple[int, int]:
    """argparse type: two whole numbers, as ``0,-1``."""
    first, last = text.split(",")
    return int(first), int(last)


def _number(text):
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None


def run(main: Callable[[list[str]], int | None], prog: str) -> NoReturn:
    """Run ``main(argv)`` as a program: map every expected failure to one line and its exit code."""
    for name in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(name) is not signal.SIG_IGN:  # nohup wants the program to go on
            signal.signal(name, _raise_terminated)
    sys.unraisablehook = _raise_again
    names: dict[str, str] = {}
    try:
        with copied_pipes(sys.argv[1:], names) as argv:
            code = main(argv) or 0
        if sys.stdout:
            sys.stdout.flush()
    except ToolError as problem:
        text = str(problem)
        for copy, pipe in names.items():
            text = text.replace(copy, pipe)
        print(f"{prog}: error: {text}", file=sys.stderr)
        code = problem.code
    except BrokenPipeError:
        _forget_stdout()
        code = 0
    except KeyboardInterrupt:
        print(f"{prog}: interrupted", file=sys.stderr)
        code = 130
    except Terminated as stopped:
        code = 128 + stopped.signum
    except ModuleNotFoundError as problem:
        advice = "use `pip install 'intronaut[torch]'`, the environment of `make`, or an image"
        print(f"{prog}: error: Python package {problem.name} is not installed; {advice}", file=sys.stderr)
        code = ToolError.code
    except (MemoryError, RuntimeError) as problem:
        if not is_out_of_memory(problem):
            raise
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
    raise Terminated(signum)


def _raise_again(unraisable):
    """Send a signal again that came while a destructor ran, where Python passes over exceptions."""
    if isinstance(unraisable.exc_value, Terminated):
        os.kill(os.getpid(), unraisable.exc_value.args[0])
    elif isinstance(unraisable.exc_value, KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    else:
        sys.__unraisablehook__(unraisable)


def _os_error_code(problem):
    if problem.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG):
        return CannotWrite.code
    if problem.errno in (errno.ENOENT, errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG):
        return MissingInput.code
    return None


def main() -> None:
    """The command ``intronaut TOOL …`` of the installed package; hyphens in a tool's name count as underscores."""
    name, *options = sys.argv[1:] or ["--help"]
    tool = name.replace("-", "_")
    if name == "--version":
        print(f"intronaut {__version__}")
    elif name in ("-h", "--help"):
        print(_usage())
    elif tool in _tools():
        sys.argv = [tool, *options]
        run(_load(tool).main, tool)
    else:
        print(f"intronaut: error: no tool {name!r}; `intronaut --help` lists them", file=sys.stderr)
        sys.exit(UsageError.code)


def _tools():
    """The scripts of all tools by name: packed beside this file, or the folder ``bin`` that it lies in."""
    here = Path(__file__).resolve().parent
    folder = here / "tools" if (here / "tools").is_dir() else here.parent
    return {path.stem: path for path in sorted(folder.glob("*.py")) if path.stem != "__init__"}


def _load(tool):
    spec = importlib.util.spec_from_file_location(tool, _tools()[tool])
    module = importlib.util.module_from_spec(spec)
    sys.modules[tool] = module
    spec.loader.exec_module(module)
    return module


def _usage():
    tools = {name: ast.get_docstring(ast.parse(path.read_bytes())) or "" for name, path in _tools().items()}
    width = max(map(len, tools))
    lines = [f"  {name:<{width}}  {text.splitlines()[0]}" for name, text in tools.items()]
    return "\n".join(["usage: intronaut TOOL …  (intronaut TOOL --help says more)", "", "tools:", *lines])
