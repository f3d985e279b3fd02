"""The Galaxy wrappers against the tools that they call: every option exists, is wrapped or left out for a reason."""

import argparse
import importlib
import json
import re
import xml.etree.ElementTree as ElementTree

import pytest

from conftest import ROOT
from intronaut import __version__
from intronaut.labels.callers import FORMATS

GALAXY = ROOT / "galaxy"
WRAPPERS = {path.stem: path for path in GALAXY.glob("*.xml") if path.read_text(encoding="utf-8").startswith("<tool ")}
# tools that Galaxy does itself: its histories keep every job's tool, version, settings, inputs and outputs
NOT_WRAPPED = {
    "transfer": "it takes folders and labels in pairs by name, which a form of Galaxy cannot ask for",
    "check": "Galaxy runs one tool at a time, and each looks at its own inputs before it begins",
    "record_run": "Galaxy records its own runs and exports them as RO-Crates",
    "verify": "there is no folder of results in Galaxy, and every dataset has its hash",
}
# what says how to run: the script chooses it itself, or the server's administrator does
RUN_OPTIONS = {
    "help",
    "version",
    "threads",
    "device",
    "quiet",
    "verbose",
    "memory",
    "batch_size",
    "estimate",
    "record_cost",
    "offline",
}
CACHE = "what jobs share between them is an administrator's matter"
LEFT_OUT = {
    "embed_sei": {"cache": CACHE, "cache_gb": CACHE},
    "embed_dnabert2": {"cache": CACHE, "cache_gb": CACHE},
    "embed_motifs": {"background": "four numbers; the uniform background is the one that its scores are defined on"},
    "find_motifs": {"background": "four numbers; by default those of the spliced windows"},
    "fetch_weights": {
        "url": "an administrator's mirror is a matter of the command line",
        "sha256": "the published digests are built in; others are a matter of the command line",
    },
    "finetune": {"at_once": "it finds by itself what fits into memory"},
    "fit": {
        "c_values": "the default penalties span all that can be best; the path that was tried is in the model",
        "tolerance": "a numerical detail of convergence, which the model reports",
    },
    "explain_intron": dict.fromkeys(
        ("sample_sheet", "quantified", "annotation", "fasta"),
        "Quantify introns draws introns with their reads in Galaxy, which gives no paths of alignments to a sheet",
    ),
    "embed_splice": {"cache": "nothing is kept between two jobs of a server"},
    "label_introns": {"maxent_tables": "a folder of tables that no Galaxy data type holds"},
    "quantify_introns": {
        "coverage_scale": "Galaxy keeps the alignments; its wrapper writes a sheet of those only",
        "sashimi": "figures of single introns; the tracks show them in Galaxy's own genome browser",
        "counts_base": "as coverage_scale; a table of counts can go to label_introns as a generic one",
        "counts_columns": "as counts_base",
    },
    "make_report": {
        "date": "Galaxy shows when each job ran",
        "settings": "the pipeline's own params; Galaxy shows those of every job",
        "transfer": "transfer has no wrapper, whose tables these are",
    },
}


def make_parser(name):
    return importlib.import_module(name).make_parser()


def elements(name):
    """Every element of a wrapper and of the macros that it expands, one after another."""
    root, macros = (ElementTree.parse(path).getroot() for path in (WRAPPERS[name], GALAXY / "macros.xml"))
    bodies = {macro.get("name"): macro for macro in macros.findall("xml")}
    waiting = [root]
    while waiting:
        for element in waiting.pop().iter():
            yield element
            if element.tag == "expand":
                waiting.append(bodies[element.get("macro")])


def params(name):
    """The input params of a wrapper; those of its tests have a value and no type."""
    return [element for element in elements(name) if element.tag == "param" and element.get("type")]


def param_name(param):
    return param.get("name") or param.get("argument").lstrip("-").replace("-", "_")


def command_of(name):
    """The command with its tokens filled in."""
    tokens = ElementTree.parse(GALAXY / "macros.xml").getroot().findall("token")
    command = ElementTree.parse(WRAPPERS[name]).getroot().findtext("command")
    for token in tokens:
        command = command.replace(token.get("name"), token.text)
    return command


def words_of(command):
    """The lines that become words of the shell's, without those and the inline ones that steer the template."""
    lines = [line for line in command.splitlines() if not re.match(r"\s*#(if|else|end|for|set)\b", line)]
    return re.sub(r"#(for|end for)\b.*?#", "", "\n".join(lines))


TOOLS = sorted(path.stem for path in (ROOT / "bin").glob("*.py"))
every_wrapper = pytest.mark.parametrize("name", sorted(WRAPPERS))


def test_every_tool_is_wrapped_or_there_is_a_reason():
    assert set(TOOLS) - set(NOT_WRAPPED) == set(WRAPPERS)


def test_version_is_that_of_the_tools():
    tokens = ElementTree.parse(GALAXY / "macros.xml").getroot().findall("token")
    assert {token.get("name"): token.text for token in tokens}["@TOOL_VERSION@"] == __version__


@every_wrapper
def test_wrapper_has_what_a_server_and_its_users_need(name):
    root = ElementTree.parse(WRAPPERS[name]).getroot()
    found = list(elements(name))
    assert root.get("id") == f"intronaut_{name}"
    assert root.get("version") == "@TOOL_VERSION@+galaxy@VERSION_SUFFIX@"
    assert root.find("command").get("detect_errors") == "exit_code"
    assert root.findtext("version_command") == f"{name}.py --version"
    assert "@HELP_STUDY@" in root.findtext("help")
    assert "10.1371/journal.pcbi.1012755" in {element.text for element in found if element.tag == "citation"}
    assert {"edam_topic", "edam_operation", "container"} <= {element.tag for element in found}
    failures = [test.get("expect_failure") for test in root.find("tests")]
    assert "true" in failures and None in failures


@every_wrapper
def test_command_calls_the_tool_once_with_options_that_it_has(name):
    command = command_of(name)
    assert re.findall(r"\w+\.py\b", command) == [f"{name}.py"]
    options = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", command))
    assert options <= set(make_parser(name)._option_string_actions)


@every_wrapper
def test_every_argument_is_an_option_of_the_tool(name):
    arguments = {param.get("argument") for param in params(name) if param.get("argument")}
    assert arguments <= set(make_parser(name)._option_string_actions)


@every_wrapper
def test_every_option_is_offered_or_left_out_for_a_reason(name):
    command = command_of(name)
    given = {param.get("argument") for param in params(name) if param.get("type") == "boolean"}
    given |= set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]*", command))
    options = [action for action in make_parser(name)._actions if action.option_strings]
    missing = {action.dest for action in options if not given & set(action.option_strings)}
    assert missing - RUN_OPTIONS == set(LEFT_OUT.get(name, {}))


@every_wrapper
def test_choices_and_their_defaults_are_those_of_the_tool(name):
    actions = make_parser(name)._option_string_actions
    for param in params(name):
        action = actions.get(param.get("argument"))
        if action is None or not action.choices or param.get("type") != "select":
            continue
        options = param.findall("option")
        assert {option.get("value") for option in options} == {str(choice) for choice in action.choices}
        chosen = [option.get("value") for option in options if option.get("selected")]
        if action.default not in (None, argparse.SUPPRESS) and not action.required:
            assert chosen == [str(action.default)], param.get("argument")


@every_wrapper
def test_numbers_start_at_the_tools_defaults(name):
    actions = make_parser(name)._option_string_actions
    for param in params(name):
        action = actions.get(param.get("argument"))
        if action and param.get("type") in ("integer", "float") and param.get("value") and action.default is not None:
            if name == "audit_split" and param.get("argument").startswith("--max-"):
                continue  # in Galaxy the report judges the leaks, and no job fails by itself
            assert float(param.get("value")) == float(action.default), param.get("argument")


@every_wrapper
def test_text_and_files_are_quoted(name):
    unquoted = re.sub(r"'[^'\n]*'", "", words_of(command_of(name)))
    unquoted = re.sub(r"\\\$\S+", "", unquoted)
    harmless = {
        param_name(param)
        for param in params(name)
        if param.get("type") in ("integer", "float", "boolean")
        or (param.get("type") == "select" and param.find("options") is None)
    }
    used = {variable.split(".")[-1] for variable in re.findall(r"\$\{?([\w.]+)", unquoted)}
    assert used <= harmless


@every_wrapper
def test_choice_that_nobody_made_is_not_passed_on(name):
    chosen = [param for param in params(name) if param.get("type") == "select" and param.get("optional")]
    # as text it would be None, which is something
    as_text = set(re.findall(r"str\(\$(?:\w+\.)*(\w+)\)", command_of(name)))
    assert not as_text & {param_name(param) for param in chosen}


@every_wrapper
def test_free_text_is_checked_before_a_job_starts(name):
    for param in params(name):
        if param.get("type") == "text":
            inside = {child.get("macro") or child.get("type") for child in param}
            assert inside & {"regex", "columns_only"}, param_name(param)


HOSTILE = [
    "'; touch canary; '",
    "$(touch canary)",
    "`touch canary`",
    "a\nb",
    "-rf",
    '"',
    "a;b",
    "a&b",
    "a|b",
    "\\",
    "é",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_validators_refuse_what_a_shell_would_read(text):
    macros = ElementTree.parse(GALAXY / "macros.xml").getroot()
    patterns = [validator.text for validator in macros.iter("validator") if validator.get("type") == "regex"]
    patterns += [element.text for name in WRAPPERS for element in elements(name) if element.get("type") == "regex"]
    assert patterns
    assert not [pattern for pattern in patterns if re.match(pattern, text)]


def test_label_introns_offers_every_format_of_calls():
    (formats,) = [param for param in params("label_introns") if param.get("argument") == "--calls-format"]
    assert {option.get("value") for option in formats} == {"auto", "generic", *FORMATS}


def test_data_tables_have_the_columns_that_the_wrappers_read():
    for name in ("tool_data_table_conf.xml.sample", "tool_data_table_conf.xml.test"):
        tables = ElementTree.parse(GALAXY / name).getroot()
        columns = {table.get("name"): table.findtext("columns").split(", ") for table in tables}
        for wrapped in WRAPPERS:
            for options in (element for element in elements(wrapped) if element.get("from_data_table")):
                for column in options.findall("column"):
                    assert columns[options.get("from_data_table")][int(column.get("index"))] == column.get("name")


def test_workflow_names_tools_of_this_version():
    (path,) = (GALAXY / "workflows").glob("*.ga")
    steps = json.loads(path.read_text(encoding="utf-8"))["steps"].values()
    tools = {step["tool_id"]: step["tool_version"] for step in steps if step["type"] == "tool"}
    assert set(tools) <= {f"intronaut_{name}" for name in WRAPPERS}
    assert set(tools.values()) == {f"{__version__}+galaxy0"}


def children(element, macros):
    """The children of an element, those of macros in place of their names."""
    for child in element:
        yield from children(macros[child.get("macro")], macros) if child.tag == "expand" else [child]


def unanswered(element, state, macros):
    """Names of inputs that a step of a workflow does not answer, also in the branches that it takes."""
    for child in children(element, macros):
        if child.tag not in ("param", "conditional", "repeat", "section"):
            continue
        if (name := param_name(child)) not in state:
            yield name
        elif child.tag == "conditional":
            chosen = state[name][param_name(next(children(child, macros)))]
            for when in children(child, macros):
                if when.get("value") == chosen:
                    yield from unanswered(when, state[name], macros)


def test_workflow_answers_all_that_its_tools_ask():
    """A server refuses to start a workflow that leaves an input open."""
    macros = {macro.get("name"): macro for macro in ElementTree.parse(GALAXY / "macros.xml").getroot().findall("xml")}
    (path,) = (GALAXY / "workflows").glob("*.ga")
    steps = json.loads(path.read_text(encoding="utf-8"))["steps"].values()
    for step in (step for step in steps if step["type"] == "tool"):
        inputs = ElementTree.parse(WRAPPERS[step["tool_id"].removeprefix("intronaut_")]).getroot().find("inputs")
        assert list(unanswered(inputs, json.loads(step["tool_state"]), macros)) == []


def test_test_data_is_small():
    files = [path for path in (GALAXY / "test-data").rglob("*") if path.is_file()]
    # a splicing network has 1.4 MB; this one, of few different values, takes 150 kB in an archive
    assert sum(path.stat().st_size for path in files if path.parent.name != "random_splice") < 1_200_000


@pytest.mark.parametrize("name", [name for name in WRAPPERS if (ROOT / "modules" / name / "main.nf").exists()])
def test_job_gets_the_image_of_the_process(name):
    module = (ROOT / "modules" / name / "main.nf").read_text(encoding="utf-8")
    image = ElementTree.parse(WRAPPERS[name]).getroot().find("expand[@macro='image']")
    assert f'"intronaut/{image.get("family", "core")}:' in module
