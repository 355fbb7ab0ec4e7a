#!/usr/bin/env python3
"""Checks freeswitch-headers/switch.h against the headers of an installed FreeSWITCH with the C compiler.

usage: prove.py <include folder>...      exit status 0: equal, 1: not

Everything that the project's header declares is checked, and a declaration that this program cannot read is an error.
  declarations  the project's functions and typedefs are compiled after FreeSWITCH's own and must be compatible with them
  layout        sizes, alignments, the offset and type of every field, the sign of every enum, every value and constant
Everything that build/host_headers.rs binds must be declared.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from header import Header

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ROOT / "freeswitch-headers/switch.h"
BINDING = ROOT / "build/host_headers.rs"
BOUND_LISTS = ("FUNCTIONS", "TYPES", "CONSTANTS", "OPAQUE")


def evaluate(include_line, declarations, expressions, *flags):
    """Returns the value of each C expression and None, or None and the compiler's errors."""
    declared = "\n".join(declarations)
    rows = "\n".join(f'\tprintf("%lld\\n", (long long)({expression}));' for expression in expressions)
    head = f"{include_line}\n#include <stddef.h>\n#include <stdio.h>\n{declared}\n"
    source = f"{head}int main(void)\n{{\n{rows}\n\treturn 0;\n}}\n"
    with tempfile.TemporaryDirectory() as folder:
        file, program = Path(folder) / "proof.c", Path(folder) / "proof"
        file.write_text(source)
        command = ["cc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", *flags, "-o", program, file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return None, done.stderr
        out = subprocess.run([program], capture_output=True, text=True, check=True).stdout
    return dict(zip(expressions, map(int, out.split()), strict=True)), None


def bound_names():
    """The names that the module binds, from the lists of its build script."""
    text = BINDING.read_text()
    names = set()
    for title in BOUND_LISTS:
        body = re.search(rf"const {title}: &\[&str\] = &\[(.*?)\];", text, re.S)
        found = re.findall(r'"(\w+)"', body[1]) if body else []
        if not found:
            raise SystemExit(f"{BINDING} has no list {title}")
        names.update(found)
    return names


def prove(include, text):
    """The differences between the header `text` and FreeSWITCH's headers, one line each."""
    header = Header(text)
    wrong = [f"cannot be read: {what}" for what in header.unread]
    wrong += [f"{name} is bound and not declared" for name in sorted(bound_names() - header.names)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "switch.h").write_text(text)
        here, complaint = evaluate("#include <switch.h>", [], header.expressions, "-I", folder)
    if complaint:
        return [*wrong, f"our header does not compile:\n{complaint}"]
    # FreeSWITCH's headers are a system folder, so that warnings about them are ignored.
    there, complaint = evaluate("#include <switch.h>", header.declarations, header.expressions, "-isystem", include)
    if complaint:
        return [*wrong, f"differs from FreeSWITCH's declaration:\n{complaint}"]
    return wrong + [f"{it}: {here[it]} here, {there[it]} there" for it in here if here[it] != there[it]]


# One error of each kind: the text to replace in the project's header, its replacement, and text that the result must contain.
INJECTED = [
    ("CF_BRIDGED = 9", "CF_BRIDGED = 8", "CF_BRIDGED: 8 here, 9 there"),
    ("\tSWITCH_LOG_DISABLE = -1,\n", "", "(switch_log_level_t)-1: 4294967295 here, -1 there"),
    ("#define SWITCH_API_VERSION 5", "#define SWITCH_API_VERSION 6", "SWITCH_API_VERSION: 6 here, 5 there"),
    ("char *group;\n\tvoid *cmd_arg;", "void *cmd_arg;\n\tchar *group;", "switch_scheduler_task, group): "),
    ("\tuint32_t cmd_id;\n", "\tint32_t cmd_id;\n", "switch_scheduler_task *)0)->cmd_id), int32_t): 1 here, 0 there"),
    ("\tint loops;\n", "", "sizeof(switch_input_args_t): "),
    ("_func_t)(switch_scheduler_task_t *task)", "_func_t)(void *task)", "switch_scheduler_func_t"),
    ("switch_core_get_switchname(void)", "switch_core_get_switchname(int which)", "switch_core_get_switchname"),
    ("const char *fmt, ...);\nswitch_time_t", "const char *fmt);\nswitch_time_t", "switch_log_printf"),
    ("typedef int64_t switch_time_t;", "typedef int32_t switch_time_t;", "switch_time_t"),
    ("char *switch_core_get_variable_dup(const char *varname);", "", "variable_dup is bound and not declared"),
    ("CF_OUTBOUND = 2", "CF_OUTBOUND", "cannot be read: CF_OUTBOUND"),
]


def self_test(include, text):
    """Checks that `prove` finds each injected error. Returns those that it does not find, one line each."""
    missed = []
    for before, after, answer in INJECTED:
        if text.count(before) != 1:
            missed.append(f"no place to plant '{after}': '{before}' should stand in our header once")
        elif not any(answer in line for line in prove(include, text.replace(before, after))):
            missed.append(f"the injected error '{after}' was not found")
    return missed


def main():
    includes = sys.argv[1:]
    if not includes:
        sys.exit(__doc__)
    text = OURS.read_text()
    header = Header(text)
    bad = False
    for include in includes:
        wrong = prove(include, text)
        for line in wrong:
            print(f"{include}: {line}")
        if not wrong:
            declarations, facts = len(header.declarations), len(header.expressions)
            print(f"{include}: equal: {declarations} declarations, {facts} sizes, offsets, types and values")
        bad = bad or bool(wrong)
    if not bad:
        missed = self_test(includes[0], text)
        print("\n".join(missed) if missed else f"{len(INJECTED)} injected errors found")
        bad = bool(missed)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
