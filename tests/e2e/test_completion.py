# SPDX-License-Identifier: Apache-2.0
"""keytrail completion: what each shell offers, asked of the shell itself."""

import shlex
import shutil
import subprocess

import pytest

from instance import binary

# The words so far, the last one unfinished; what must be offered, what must not.
CASES = [
    (["dete"], {"detect"}, {"deliveries"}),
    ([""], {"status", "who", "help", "completion"}, set()),
    (["help", "led"], {"ledger"}, {"status"}),
    (["redirect", "c"], {"check", "carry-over"}, {"up"}),
    (["ledger", ""], {"verify", "anchor", "prune"}, {"up"}),
    (["policy", "si"], {"simulate"}, set()),
    (["deliveries", "--gr"], {"--grade"}, {"--follow"}),
    (["deliveries", "-o", "j"], {"json", "jsonl"}, {"csv"}),
    (["deliveries", "--output", ""], {"table", "json", "jsonl", "csv"}, {"asff"}),
    (["detect", "--output", ""], {"table", "asff", "ocsf", "guardduty", "timesketch"}, set()),
    (["detect", "--fail-on", ""], {"LOW", "MEDIUM", "HIGH", "NONE"}, set()),
    (["seal", "--"], {"--yes", "--help", "--ledger"}, {"--grade"}),
    (["status", "--config", "trail-"], {"trail-1.json", "trail-2 with blanks.json"}, {"--help"}),
    (["detect", "trail-"], {"trail-1.json", "trail-2 with blanks.json"}, set()),
    (["who", "trail-"], set(), {"trail-1.json"}),
]
IDS = [" ".join(words) or "nothing" for words, _, _ in CASES]


def script(shell):
    done = subprocess.run([str(binary("keytrail")), "completion", shell], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def offered_by_bash(folder, words):
    words = ["keytrail", *words]
    program = (f"{script('bash')}\ncompopt() {{ :; }}\nCOMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}\n"
               f"_keytrail keytrail {shlex.quote(words[-1])} {shlex.quote(words[-2])}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\"\n")
    return ask(["bash", "-c", program], folder)


def offered_by_fish(folder, words):
    (folder / "keytrail.fish").write_text(script("fish"))
    program = f"source {folder}/keytrail.fish; complete -C {shlex.quote(shlex.join(['keytrail', *words[:-1]]) + ' ' + words[-1])}"
    return [line.split("\t")[0] for line in ask(["fish", "--no-config", "-c", program], folder)]


def ask(command, folder):
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=30,
                          env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C.UTF-8", "TERM": "dumb"})
    assert done.stderr == "", done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def folder(tmp_path):
    for name in ("trail-1.json", "trail-2 with blanks.json"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("words,offered,others", CASES, ids=IDS)
@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_shell_offers(folder, shell, words, offered, others):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    got = {"bash": offered_by_bash, "fish": offered_by_fish}[shell](folder, words)
    got = [word.replace("\\", "") for word in got]  # fish quotes blanks
    assert offered <= set(got) and not others & set(got), got


# The words that zsh would hand to its own functions, which need a terminal.
ZSH = """
autoload -Uz compinit; compinit -u -D
_arguments() { print -rl -- "$@" }
_describe() { print -rl -- "${(@P)2}" }
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed")
def test_zsh_is_told_of_commands_options_and_verbs(folder):
    (folder / "_keytrail").write_text(script("zsh"))
    load = f"{ZSH}\nsource {folder}/_keytrail\n"

    def told(*words):
        return ask(["zsh", "-f", "-c", f"{load}words=({shlex.join(['keytrail', *words])}); CURRENT={len(words) + 1}; _keytrail"], folder)

    assert {line.split(":")[0] for line in told("")} >= {"status", "detect", "help"}
    options = told("deliveries", "")
    assert any(line.startswith("--output=[") and line.endswith(":FORM:( table json jsonl csv)") for line in options)
    assert any(line.startswith("--ledger=[") and line.endswith(":FILE:_files") for line in options)
    assert "1: :( up down check repair carry-over programs)" in told("redirect", "")
    assert "*: :_files" in told("detect", "")


def test_other_shells_are_refused_by_name():
    done = subprocess.run([str(binary("keytrail")), "completion", "tcsh"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and "tcsh" in done.stderr and "bash, zsh or fish" in done.stderr
