"""What the pages of the reference have beside autodoc, and the links to them.

Each definition leads to its lines in the repository and to the chapters that use it.
A pair of `core.pt` and `core.tf` has the same names and docstrings
(tests/test_mirror.py), so one page describes both: autodoc reads PyTorch's, and the
names of TensorFlow's lead to the same places.
"""

import re

import toc
from api_links import link, names_of
from docutils import nodes
from sphinx import addnodes
from sphinx.util.docutils import SphinxDirective

AFTER = (addnodes.index, addnodes.desc, nodes.compound, nodes.target, nodes.section)


def source(app, name, text):
    """A link to the lines of a definition, or to the file of a module."""
    options = app.config.html_theme_options
    names = names_of(app)
    place = names.places[name]
    where = f"{options['repository_url']}/blob/{options['repository_branch']}"
    lines = "" if name in names.modules else f"#L{place.first}-L{place.last}"
    return nodes.reference("", text, refuri=f"{where}/{place.path}{lines}")


def sources(app, name):
    """[source], or one for each framework."""
    mirror = names_of(app).mirror(name)
    found = [source(app, name, "PyTorch" if mirror else "source")]
    if mirror:
        found += [nodes.Text(" · "), source(app, mirror, "TensorFlow")]
    return [nodes.Text("["), *found, nodes.Text("]")]


def used(app, name):
    """The chapters that use a name, as a paragraph in a list, which may be empty."""
    chapters = app.api_uses.get(name, [])
    if not chapters:
        return []
    if chapters == app.api_uses["core.quiet"]:  # with which every chapter begins
        return [nodes.paragraph("", "Used in every chapter.", classes=["api-used"])]
    whole = name in names_of(app).modules
    word = "chapters" if len(chapters) > 1 else "chapter"
    line = nodes.paragraph("", f"Used in {word} ", classes=["api-used"])
    for number, page, title in chapters:
        text = f"{number} {title}" if whole else f"{number}"
        line += link(nodes.inline("", text), f"/{page}", "doc")
        line += nodes.Text("; " if whole else ", ")
    line.children[-1] = nodes.Text(".")
    return [line]


def describe(app, doctree):
    """Sources, uses and the second framework's names of a page's definitions."""
    names, domain = names_of(app), app.env.get_domain("py")
    here = app.env.docname
    modules = [name for name, e in domain.modules.items() if e.docname == here]
    for name in modules:
        head(app, doctree, name)
    for signature in doctree.findall(addnodes.desc_signature):
        name = f"{signature.get('module')}.{signature.get('fullname')}"
        defined = names.resolve(name)  # elsewhere, if the module gives it on
        if defined is None:
            continue
        links = sources(app, defined)
        signature += nodes.inline("", "", *links, classes=["viewcode-link"])
        mirror = names.mirror(name)
        if mirror:
            signature["ids"].append(mirror)
            domain.note_object(mirror, signature.parent["objtype"], mirror)
        insert(signature.parent[-1], used(app, defined))
    shown_of(app.env)[here] = {name: uses_within(app, name) for name in modules}


def head(app, doctree, name):
    """What stands below the docstring of a module: its sources, its chapters."""
    anchor = f"module-{name}"
    start = next(i for i in doctree.findall(addnodes.index) if anchor in str(i))
    mirror = names_of(app).mirror(name)
    line = nodes.paragraph("", "", nodes.literal("", name), classes=["api-source"])
    if mirror:
        app.env.note_dependency(str(toc.ROOT / names_of(app).modules[mirror]))
        line += [nodes.Text(" and "), nodes.literal("", mirror)]
        domain, anchor = app.env.get_domain("py"), f"module-{mirror}"
        if mirror not in domain.modules:  # else a section on it follows
            start.parent.insert(start.parent.index(start), nodes.target(ids=[anchor]))
            domain.note_module(mirror, anchor, "", "", False)
            domain.note_object(mirror, "module", anchor)
    line += [nodes.Text(" "), *sources(app, name)]
    insert(start.parent, [line, *used(app, name)], start.parent.index(start) + 1)


def insert(parent, lines, start=0):
    """After the text there, before definitions, lists of modules and sections."""
    place = parent.first_child_matching_class(AFTER, start)
    place = len(parent) if place is None else place
    parent[place:place] = lines


def uses_within(app, module):
    """What a page shows of the uses of a module and of its names."""
    return {
        name: chapters
        for name, chapters in app.api_uses.items()
        if f"{name}.".startswith(f"{module}.")
    }


def shown_of(env):
    """Page of the reference to the uses that it shows; kept with the environment."""
    if not hasattr(env, "api_shown"):
        env.api_shown = {}
    return env.api_shown


def outdated(app, env, added, changed, removed):
    """The pages whose chapters have come to use other names since they were read."""
    names_of(app)
    return [
        page
        for page, shown in shown_of(env).items()
        if shown != {name: uses_within(app, name) for name in shown}
    ]


def purge(app, env, docname):
    shown_of(env).pop(docname, None)


def merge(app, env, docnames, other):
    found = shown_of(other)
    shown_of(env).update({name: found[name] for name in docnames if name in found})


class Modules(SphinxDirective):
    """A list of the modules of a package, with what each is for, as in _toc.yml."""

    required_arguments = 1

    def run(self):
        names, package = names_of(self.env.app), self.arguments[0]
        pages = re.findall(
            r"file: (book/api/.*)", (toc.ROOT / "_toc.yml").read_text("utf-8")
        )
        within = {
            names.page(name): name
            for name in names.modules
            if name.rpartition(".")[0] == package and names.page(name) in pages
        }
        if not within:
            raise self.error(f"expected a package with pages, got {package}")
        found = nodes.bullet_list()
        for name in (within[page] for page in pages if page in within):
            self.env.note_dependency(str(toc.ROOT / names.modules[name]))
            text = nodes.literal("", names.title(name))
            purpose = nodes.Text(f": {names.purpose(name)}")
            line = nodes.paragraph("", "", link(text, name), purpose)
            found += nodes.list_item("", line)
        return [nodes.compound("", found)]


def setup(app):
    app.add_directive("modules", Modules)
    app.connect("env-get-outdated", outdated)
    app.connect("env-purge-doc", purge)
    app.connect("env-merge-info", merge)
    app.connect("doctree-read", describe, priority=600)  # after the links
    return {"parallel_read_safe": True, "parallel_write_safe": True}
