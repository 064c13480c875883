"""All files of a project, from one request."""

from __future__ import annotations

from importlib import resources

from npudsl.artifacts.export_bundle import ExportBundle, ExportRequest
from npudsl.backends.c_project.golden import golden_files
from npudsl.backends.c_project.graph import Project, build_project
from npudsl.backends.c_project.makefile import makefile
from npudsl.backends.c_project.names import model_identifier
from npudsl.backends.c_project.options import read_options
from npudsl.backends.c_project.readme import readme
from npudsl.backends.c_project.source import header, source
from npudsl.backends.c_project.weights import embedded_source, weights_file
from npudsl.runtime_c import project_sources


def export(request: ExportRequest) -> ExportBundle:
    """A self-contained C99 project. Raises ``Problem`` E0202, E0210, E0211 (options) and E0610 (float layers)."""
    options = read_options(request.options, request.subject)
    project = build_project(request, model_identifier(request.name), options.embed_weights)
    name = project.identifier
    files = {
        **project_sources(),
        f"{name}.h": header(project).encode(),
        f"{name}.c": source(project).encode(),
        "main.c": _main(project),
        "Makefile": makefile(project, options).encode(),
        "README.txt": readme(project, options, _memory(project)).encode(),
        **golden_files(project, request.golden.values),
    }
    if options.embed_weights:
        files[f"{name}_weights.c"] = embedded_source(project.pool, name).encode()
    else:
        files["weights.bin"] = weights_file(project.pool)
    return ExportBundle(files=files, notes=_notes(project))


def _notes(project: Project) -> tuple[str, ...]:
    return (
        "run `make check` in the project: it builds, runs the known answer and compares every layer byte for byte",
        _memory(project),
    )


def _memory(project: Project) -> str:
    plan = project.plan
    verdict = "which is optimal" if plan.size == plan.bound else f"the lower bound is {plan.bound} bytes"
    place = "compiled in" if project.embedded else "in weights.bin"
    return f"activations take {plan.size} bytes ({verdict}), constants {project.pool.size} bytes ({place})"


def _main(project: Project) -> bytes:
    text = (resources.files(__package__) / "templates" / "main.c").read_text()
    return text.replace("@model@", project.identifier).replace("@MODEL@", project.identifier.upper()).encode()
