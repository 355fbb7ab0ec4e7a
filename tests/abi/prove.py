#!/usr/bin/env python3
"""Proves freeswitch-headers/switch.h against the headers of an installed FreeSWITCH, with the C compiler.

usage: prove.py <include folder>...      exit status 0: proved, 1: not

The lists are read from our header itself, so whatever is declared there is proved:
  prototypes  our functions declared over FreeSWITCH's own types must be compatible with FreeSWITCH's declarations
  layout      sizes, alignments, offsets of every field, every enum value and constant are equal
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
OURS = ROOT / "freeswitch-headers/switch.h"


def without_comments(text):
    return re.sub(r"/\*.*?\*/", "", text, flags=re.S)


def expressions(text):
    """Every size, offset and value that our header fixes, as C expressions."""
    text = without_comments(text)
    found = re.findall(r"#define (\w+) \d+", text)
    for body in re.findall(r"typedef enum\s*\{(.*?)\}", text, re.S):
        found += re.findall(r"(\w+)\s*=", body)
    for tag, body, name in re.findall(r"struct\s*(\w*)\s*\{(.*?)\}\s*(\w*)\s*;", text, re.S):
        kind = f"struct {tag}" if tag else name
        found += [f"sizeof({kind})", f"_Alignof({kind})"]
        fields = re.findall(r"(\w+)(?:\[\d+\])?;", body)
        found += [f"offsetof({kind}, {field})" for field in fields]
    return found


def compile_c(source, *flags):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "proof.c"
        path.write_text(source)
        binary = Path(folder) / "proof"
        output = ["-o", str(binary)] if "-fsyntax-only" not in flags else []
        done = subprocess.run(["cc", "-std=gnu11", *flags, *output, str(path)], capture_output=True, text=True, check=False)
        if done.returncode:
            return None, done.stderr
        if not output:
            return "", ""
        return subprocess.run([str(binary)], capture_output=True, text=True, check=True).stdout, ""


def table(header, flags, names):
    rows = "\n".join(f'printf("%lld\\n", (long long)({name}));' for name in names)
    source = f"{header}\n#include <stdio.h>\n#include <stddef.h>\nint main(void) {{\n{rows}\nreturn 0;\n}}\n"
    out, error = compile_c(source, *flags)
    return (None, error) if out is None else (dict(zip(names, map(int, out.split()))), "")


def prove(include, ours=OURS):
    """What is wrong; nothing if all is proved."""
    names = expressions(ours.read_text())
    theirs_flags = ["-I", str(include), "-w"]
    mine, error = table(f'#include "{ours}"', [], names)
    if mine is None:
        return [f"our header does not compile: {error}"]
    theirs, error = table("#include <switch.h>", theirs_flags, names)
    if theirs is None:
        return [f"something of ours is not in FreeSWITCH's headers: {error[:2000]}"]
    wrong = [f"{name}: {mine[name]} here, {theirs[name]} there" for name in names if mine[name] != theirs[name]]
    prototypes = f'#include <switch.h>\n#define CALLPARK_PROTOTYPES_ONLY\n#include "{ours}"\n'
    out, error = compile_c(prototypes, "-fsyntax-only", "-I", str(include))
    if out is None:
        wrong.append(f"prototypes: {error[:2000]}")
    bound = set(re.findall(r'^    "(switch_\w+)",', (ROOT / "build/host_headers.rs").read_text(), re.M))
    declared = set(re.findall(r"\b(switch_\w+)", without_comments(ours.read_text())))
    wrong += [f"{name} is bound and not declared" for name in sorted(bound - declared)]
    return wrong


def self_test(include):
    """The proof must be able to fail: one planted error of each kind."""
    text = OURS.read_text()
    for before, after in [
        ("CF_BRIDGED = 9", "CF_BRIDGED = 8"),
        ("	const char *long_desc;\n	const char *short_desc;", "	const char *short_desc;\n	const char *long_desc;"),
        ("int refs;\n	switch_memory_pool_t", "long refs;\n	int more;\n	switch_memory_pool_t"),
        ("uint32_t switch_channel_test_flag(switch_channel_t *channel, switch_channel_flag_t flag)",
         "uint64_t switch_channel_test_flag(switch_channel_t *channel, switch_channel_flag_t flag)"),
        ("switch_core_get_switchname(void)", "switch_core_get_switchname(int which)"),
    ]:
        assert before in text, before
        with tempfile.TemporaryDirectory() as folder:
            planted = Path(folder) / "switch.h"
            planted.write_text(text.replace(before, after))
            if not prove(include, planted):
                return [f"the planted error '{after}' was not found"]
    return []


def main():
    bad = False
    for include in map(Path, sys.argv[1:]):
        wrong = prove(include) + self_test(include)
        for line in wrong:
            print(f"{include}: {line}")
        if not wrong:
            count = len(expressions(OURS.read_text()))
            print(f"{include}: proved: every prototype, {count} sizes, offsets and values; 5 planted errors found")
        bad = bad or bool(wrong)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
