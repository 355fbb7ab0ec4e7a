"""Reads the project's own header, which uses only a few forms of C declarations. A declaration of another form is reported."""

import re

DIRECTIVE = re.compile(r"#(ifndef|define) CALLPARK_SWITCH_H|#endif|#include <(stddef|stdint|time)\.h>")
CONSTANT = re.compile(r"#define (?P<name>\w+) -?\d+")
ENUM = re.compile(r"typedef enum \{(?P<body>.*)\} (?P<name>\w+)")
ENUMERATOR = re.compile(r"(?P<name>\w+) = -?\d+")
STRUCT = re.compile(r"(typedef )?struct (?P<tag>\w+ )?\{(?P<body>.*)\}(?P<name> \w+)?")
FIELD = re.compile(r"(?P<type>[\w ]+(?: |\*+))(?P<name>\w+)(?P<array>\[\d+\])?")
CALLBACK = re.compile(r"typedef [\w ]+[ *]\(\*(?P<name>\w+)\)\([^()]*\)")
ALIAS = re.compile(r"typedef [\w ]+[ *](?P<name>\w+)")
FUNCTION = re.compile(r"[\w ]+[ *](?P<name>\w+)\([^()]*\)")


class Header:
    """The content of the project's header.

    names         all names that it declares
    declarations  its functions and typedefs, which are compiled together with FreeSWITCH's own
    expressions   C expressions whose values it determines: sizes, offsets, types, signs and values
    unread        lines that this reader does not understand and that would not be checked
    """

    def __init__(self, text):
        self.names, self.declarations, self.expressions, self.unread = set(), [], [], []
        lines = re.sub(r"/\*.*?\*/", "", text, flags=re.S).splitlines()
        for line in lines:
            if line.startswith("#"):
                self._directive(line.strip())
        code = " ".join(line for line in lines if not line.startswith("#"))
        for declaration in outside_braces(" ".join(code.split())):
            self._declaration(declaration)

    def _directive(self, line):
        if constant := CONSTANT.fullmatch(line):
            self.names.add(constant["name"])
            self.expressions.append(constant["name"])
        elif not DIRECTIVE.fullmatch(line):
            self.unread.append(line)

    def _declaration(self, text):
        self.names.update(re.findall(r"\b(?:struct|union) (\w+)", text))
        if enum := ENUM.fullmatch(text):
            self._enum(enum)
        elif struct := STRUCT.fullmatch(text):
            self._struct(struct)
        elif plain := CALLBACK.fullmatch(text) or ALIAS.fullmatch(text) or FUNCTION.fullmatch(text):
            self.names.add(plain["name"])
            self.declarations.append(f"{text};")
        else:
            self.unread.append(text)

    def _enum(self, enum):
        name = enum["name"]
        self.names.add(name)
        self.expressions += [f"sizeof({name})", f"({name})-1"]
        for item in map(str.strip, enum["body"].split(",")):
            if value := ENUMERATOR.fullmatch(item):
                self.expressions.append(value["name"])
            else:
                self.unread.append(item)

    def _struct(self, struct):
        tag, name = (struct["tag"] or "").strip(), (struct["name"] or "").strip()
        kind = f"struct {tag}" if tag else name
        self.names.update({name} - {""})
        if tag and name:
            self.declarations.append(f"typedef struct {tag} {name};")
        self.expressions += [f"sizeof({kind})", f"_Alignof({kind})"]
        for item in filter(None, map(str.strip, struct["body"].split(";"))):
            if field := FIELD.fullmatch(item):
                type_ = field["type"].strip() + (field["array"] or "")
                place = f"(({kind} *)0)->{field['name']}"
                self.expressions.append(f"offsetof({kind}, {field['name']})")
                # A pointer that the module only passes on may have another type in each release.
                same = f"__builtin_types_compatible_p(__typeof__({place}), {type_})"
                self.expressions.append(f"__builtin_classify_type({place})" if type_ == "void *" else same)
            else:
                self.unread.append(item)


def outside_braces(code):
    """Yields the declarations of `code`, which it splits at each semicolon outside braces."""
    depth, start = 0, 0
    for at, sign in enumerate(code):
        depth += (sign == "{") - (sign == "}")
        if sign == ";" and depth == 0:
            yield code[start:at].strip()
            start = at + 1
    if rest := code[start:].strip():
        yield rest
