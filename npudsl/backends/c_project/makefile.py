"""The Makefile of a project: build, switch build types, check against the known answer."""

from __future__ import annotations

from npudsl.backends.c_project.graph import Project
from npudsl.backends.c_project.options import Options
from npudsl.runtime_c import KERNEL_FILES

TEMPLATE = r"""# Builds and checks @model@.
# Variables: CC, CFLAGS, LDFLAGS, build_type=release|debug, SANITIZE=address,undefined, RUN (what runs the program, as
# an emulator for another machine: make check CC=mips-linux-gnu-gcc LDFLAGS=-static RUN=qemu-mips)
CC ?= cc
build_type ?= @build_type@

ifeq ($(build_type),debug)
CFLAGS ?= -O0 -g
else ifeq ($(build_type),release)
CFLAGS ?= -O2
else
$(error build_type is release or debug, not $(build_type))
endif

WARNINGS = -Wall -Wextra
ALL_CFLAGS = -std=c99 $(WARNINGS) $(CFLAGS)
ifneq ($(SANITIZE),)
ALL_CFLAGS += -fsanitize=$(SANITIZE) -fno-sanitize-recover=all
LDFLAGS += -fsanitize=$(SANITIZE)
endif

KERNELS = @kernels@
MODEL = @model_sources@
OBJECTS = $(patsubst %.c,build/%.o,$(KERNELS) $(MODEL) npu_md5.c main.c)
HEADERS = $(wildcard *.h)

all: @model@

@model@: $(OBJECTS)
	$(CC) $(OBJECTS) $(LDFLAGS) -o $@

build/%.o: %.c $(HEADERS) build/flags
	$(CC) $(ALL_CFLAGS) -c $< -o $@

# Objects are built again when the compiler or its flags change.
build/flags: FORCE
	@mkdir -p build
	@echo '$(CC) $(ALL_CFLAGS)' | cmp -s - $@ || echo '$(CC) $(ALL_CFLAGS)' > $@

# Runs the known answer and compares every layer and the outputs byte for byte.
check: @model@
	$(RUN) ./@model@ @check_arguments@ --check golden

clean:
	rm -rf build @model@

.PHONY: all check clean FORCE
"""


def makefile(project: Project, options: Options) -> str:
    """The text, with the files and arguments of this project."""
    values = {
        "model": project.identifier,
        "build_type": options.build_type,
        "kernels": " ".join(item for item in KERNEL_FILES if item.endswith(".c")),
        "model_sources": " ".join(_model_sources(project)),
        "check_arguments": run_arguments(project),
    }
    text = TEMPLATE
    for key, value in values.items():
        text = text.replace(f"@{key}@", value)
    return text


def run_arguments(project: Project) -> str:
    """What the program is called with to run the golden inputs."""
    inputs = [f"golden/input_{index}.dat" for index in range(len(project.model.inputs))]
    return " ".join(inputs if project.embedded else ["weights.bin", *inputs])


def _model_sources(project: Project) -> list[str]:
    embedded = [f"{project.identifier}_weights.c"] if project.embedded else []
    return [f"{project.identifier}.c", *embedded, "npu_model.c"]
