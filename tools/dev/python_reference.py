# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The Python package's reference page, from signatures and docstrings; nothing is imported."""

import ast
from pathlib import Path

# Functions of tessera/_src that make a public function: its parameters. Among their string
# arguments, the one that ends with a full stop is the docstring.
MAKERS = {"unary": "x: Any", "binary": "x: Any, y: Any", "_compare": "x: Any, y: Any"}


class Module:
    """The top-level definitions of one file."""

    def __init__(self, file: Path):
        self.file = file
        self.tree = ast.parse(file.read_text())
        self.document = ast.get_docstring(self.tree) or ""
        self.defined: dict[str, ast.AST] = {}
        self.imported: dict[str, tuple[str, str]] = {}
        for node in self.tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                self.defined[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                self.defined[node.targets[0].id] = node.value
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    if alias.name == "*":
                        self.imported |= {name: (node.module, name) for name in self.all_of(node.module)}
                    else:
                        self.imported[alias.asname or alias.name] = (node.module, alias.name)

    def all_of(self, module: str) -> list[str]:
        """What `from module import *` imports: the module's __all__."""
        package = next(parent for parent in self.file.parents if parent.name == "tessera")
        tree = ast.parse((package.parent / (module.replace(".", "/") + ".py")).read_text())
        return next(ast.literal_eval(node.value) for node in tree.body
                    if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__")


def signature(node: ast.FunctionDef, name: str) -> str:
    arguments = ast.unparse(node.args).removeprefix("self, ").removeprefix("self")
    return f"{name}({arguments})"


def class_entry(node: ast.ClassDef, name: str) -> str:
    """A class with its public methods, each by the first paragraph of its docstring."""
    lines = [f"### `class {name}`\n\n{ast.get_docstring(node) or ''}\n"]
    for method in node.body:
        if not isinstance(method, ast.FunctionDef) or method.name.startswith("_"):
            continue
        document = ast.get_docstring(method)
        if document:
            decorators = {d.id for d in method.decorator_list if isinstance(d, ast.Name)}
            title = method.name if "property" in decorators else signature(method, method.name)
            lines.append(f"* `.{title}`: {' '.join(document.split(chr(10) * 2)[0].split())}")
    return "\n".join(lines) + "\n"


def entry(name: str, node: ast.AST | None) -> str | None:
    """What the page says about a public name; None if it is no function and no class."""
    if isinstance(node, ast.ClassDef):
        return class_entry(node, name)
    if isinstance(node, ast.FunctionDef):
        return f"### `{signature(node, name)}`\n\n{ast.get_docstring(node) or ''}\n"
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in MAKERS:
        texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
        document = next(t for t in texts if isinstance(t, str) and t.endswith("."))
        return f"### `{name}({MAKERS[node.func.id]})`\n\n{document}\n"
    return None


def page(package: Path) -> str:
    """Every public module of `package` with its public names."""
    parts = ["# Python\n"]
    for file in sorted(package.rglob("*.py")):
        relative = file.relative_to(package.parent)
        if {"_src", "demo"} & set(relative.parts) or file.name == "__main__.py":
            continue
        public, entries = Module(file), []
        for name in sorted({*public.defined, *public.imported}):
            node, place = public.defined.get(name), public.imported.get(name)
            while node is None and place and place[0].startswith("tessera._src."):
                source = package.parent / (place[0].replace(".", "/") + ".py")
                if not source.exists():
                    break  # From a room come modules, which have no entry.
                module = Module(source)
                node, place = module.defined.get(place[1]), module.imported.get(place[1])
            text = None if name.startswith("_") else entry(name, node)
            entries += [text] if text else []
        if entries:
            title = ".".join(relative.with_suffix("").parts).removesuffix(".__init__")
            parts.append(f"## {title}\n\n{public.document}\n\n" + "\n".join(entries))
    return "\n".join(parts)
