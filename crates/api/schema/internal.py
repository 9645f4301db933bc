#!/usr/bin/env python3
"""Makes internal.tsv: the fields of Kubernetes' internal types in their order, from its Go sources.

    ./internal.py "$(go env GOMODCACHE)" > internal.tsv      (modules k8s.io/kubernetes and k8s.io/api are there)

A line without indent is a struct. An indented line is a field: its Go name, its name in v1's JSON (after `^`: in
the struct around this one), and its type: s text, i number, b bool, Q quantity, I number or text, T time; `*`, `[`,
`{` before an element: pointer, list, map; anything else a struct. `<` is an embedded struct.
"""
import re
import sys

KUBERNETES, API = "1.36.3", "0.36.3"
GROUPS = {"core": "core/v1", "apps": "apps/v1"}
SHOWN = ["PodSpec", "Taint", "NodeAddress", "DeploymentStrategy"]
PLAIN = {"string": "s", "types.UID": "s", "int": "i", "int32": "i", "int64": "i", "bool": "b",
         "resource.Quantity": "Q", "intstr.IntOrString": "I", "metav1.Time": "T",
         "metav1.LabelSelector": "LabelSelector", "metav1.ObjectMeta": "ObjectMeta"}


def structs(path):
    text = open(path).read()
    found = {}
    for name, body in re.findall(r"^type (\w+) struct \{\n(.*?)^\}", text, re.M | re.S):
        lines = (line.strip() for line in body.split("\n"))
        found[name] = [line for line in lines if line and not line.startswith("//")]
    aliases = dict(re.findall(r"^type (\w+) (string|map\[\w+\][\w.]+)\s*$", text, re.M))
    return found, aliases


def main(cache):
    internal, aliases, names = {}, {}, {}
    for group, version in GROUPS.items():
        found, also = structs(f"{cache}/k8s.io/kubernetes@v{KUBERNETES}/pkg/apis/{group}/types.go")
        internal, aliases = {**found, **internal}, {**also, **aliases}
        for struct, lines in structs(f"{cache}/k8s.io/api@v{API}/{version}/types.go")[0].items():
            for line in lines:
                if field := re.match(r'(\w+)\s+\S+\s+`.*json:"([^",]+)', line):
                    names.setdefault((struct, field[1]), field[2])
    order = list(SHOWN)

    def kind(go):
        if go.startswith("*"):
            return "*" + kind(go[1:])
        if go.startswith("[]"):
            return "s" if go == "[]byte" else "[" + kind(go[2:])
        if inner := re.match(r"map\[\w+\](.*)", go):
            return "{" + kind(inner[1])
        if go in PLAIN or go in aliases:
            return PLAIN.get(go) or kind(aliases[go])
        if go not in order:
            order.append(go)
        return go

    for struct in order:
        print(struct)
        for line in internal[struct]:
            words = re.sub(r"`.*`|//.*", "", line).split()
            if len(words) == 1:
                print("\t<", kind(words[0]))
                continue
            for name in (word.strip(",") for word in words[:-1]):
                outer = struct == "PodSecurityContext" and (struct, name) not in names
                owner = "PodSpec" if outer else struct
                json = names.get((owner, name), name[0].lower() + name[1:])
                print("\t" + name, ("^" if outer else "") + json, kind(words[-1]))


main(sys.argv[1])
