"""The package against the headers: structures, prototypes, constants, lists of options."""

import ctypes
import re
import subprocess
import sys
import typing

import pytest

import clmaml
from clmaml import _c, _declarations, _options, errors
from conftest import ROOT


def strip(text):
    text = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    return "\n".join(line for line in text.replace("\\\n", " ").splitlines() if not line.lstrip().startswith("#"))


HEADERS = "\n".join(strip(path.read_text()) for path in sorted((ROOT / "include" / "clmaml").glob("*.h")))


def one_line(declaration):
    return re.sub(r"\s+", " ", declaration).strip()


PROTOTYPES = {one_line(match) for match in re.findall(r"CLM_API\s+([^;{}]*?;)", HEADERS)}


def fields_in_header(structure):
    """Names of the fields, in order; a function pointer is (*name)(..)."""
    (body,) = re.findall(r"typedef struct \w+ \{([^{}]*)\} " + structure + ";", HEADERS)
    names = []
    for statement in filter(None, map(one_line, body.split(";"))):
        function = re.search(r"\(\*(\w+)\)\(", statement)
        parts = [function[1]] if function else statement.split(",")
        names += [re.sub(r"\[\w+\]", "", part).split()[-1].lstrip("*") for part in parts]
    return names


@pytest.mark.parametrize("prototype", _declarations.PROTOTYPES)
def test_prototypes_are_those_of_the_headers(prototype):
    assert prototype in PROTOTYPES


@pytest.mark.parametrize("structure", sorted(_c.structures))
def test_structures_have_every_field_of_the_headers(structure):
    assert [name for name, *_ in _c.structures[structure]._fields_] == fields_in_header(structure)


def test_every_structure_passed_to_a_function_is_known():
    """What is dereferenced here and passed by value must be told by the library, or it would be taken for an enumeration."""
    by_value = {word for line in _declarations.PROTOTYPES for word in re.findall(r"\b(clm_\w+) (?!\*|\w+\()", line)}
    enumerations = set(re.findall(r"typedef enum (\w+)", HEADERS))
    assert by_value and by_value <= enumerations | set(_c.structures)


def test_versions_are_those_of_the_headers():
    for structure in _c.structures:
        macro = re.search(rf"#define {structure.upper()}_VERSION (\d+)", all_headers())
        if macro:
            assert _c.new(structure).version == int(macro[1])


def all_headers():
    return "\n".join(path.read_text() for path in (ROOT / "include" / "clmaml").glob("*.h"))


def test_constants_are_those_of_the_headers():
    for enumerators in re.findall(r"typedef enum \w+ \{([^{}]*)\}", HEADERS):
        names = [one_line(name) for name in enumerators.split(",")]
        listed = [name for name in names if name in _c.constants]
        assert not listed or listed == names, "an enumeration is told whole"
        for value, name in enumerate(listed):
            assert _c.constants[name] == value


def test_a_structure_of_another_layout_is_refused():
    class Gap(ctypes.Structure):
        _fields_ = [("a", ctypes.c_int), ("c", ctypes.c_double)]

    _c.check_layout(Gap, 16, {"a": (0, 4), "c": (8, 8)})
    with pytest.raises(ImportError, match="Gap.c is at"):
        _c.check_layout(Gap, 24, {"a": (0, 4), "c": (16, 8)})
    with pytest.raises(ImportError, match="Gap has 24 bytes"):
        _c.check_layout(Gap, 24, {"a": (0, 4), "c": (8, 8)})


@pytest.mark.parametrize(
    "listed, structures",
    [
        (_options.InnerOptions, ["clm_inner_options"]),
        (_options.LossOptions, ["clm_loss_options"]),
        (_options.OptimOptions, ["clm_optim_options"]),
        (_options.TaskOptions, ["clm_task_options"]),
        (_options.MetaOptions, ["clm_meta_options", "clm_task_options"]),
        (_options.Conv4Options, ["clm_conv4_options"]),
        (_options.OmniglotOptions, ["clm_omniglot_options"]),
        (_options.FolderOptions, ["clm_folder_options"]),
        (_options.TableOptions, ["clm_table_options"]),
    ],
)
def test_options_for_type_checkers_are_the_fields(listed, structures):
    fields = {name for structure in structures for name in _options.names_of(_c.new(structure))}
    assert set(listed.__annotations__) | set(typing.get_type_hints(listed)) == fields - {"task"}


def test_no_name_is_an_option_twice():
    meta, task = _c.new("clm_meta_options"), _c.new("clm_task_options")
    assert not set(_options.names_of(meta)) & set(_options.names_of(task))


def test_words_for_type_checkers_are_the_constants():
    text = (ROOT / "python" / "clmaml" / "_options.py").read_text()
    for name, prefix in _options.ENUMERATIONS.items():
        alias = {"clip_kind": "Clip"}.get(name, name.capitalize())
        (listed,) = re.findall(rf"    {alias} = Literal\[(.*)\]", text)
        assert re.findall(r'"([^"]+)"', listed) == list(_c.words(prefix))


def test_every_status_has_a_class():
    names = [n for n in _c.constants if n.startswith("CLM_E_")]
    assert len(names) == 10
    for name in names:
        assert type(errors.from_status(name, "text")) is not errors.Error, name
        assert errors.from_status(name, "text").status == name
    later = errors.from_status("CLM_E_LATER", "text")
    assert type(later) is errors.Error and later.status == "CLM_E_LATER" and str(later) == "text"


def test_the_message_is_the_library_s():
    with pytest.raises(clmaml.DeviceError, match="no such gadget") as caught:
        clmaml.Device("no such gadget")
    assert caught.value.status == "CLM_E_DEVICE"


def import_with(**environment):
    import os

    return subprocess.run(
        [sys.executable, "-c", "import clmaml"], env={**os.environ, **environment}, capture_output=True, text=True
    )


def test_a_library_that_cannot_be_loaded_is_named(tmp_path):
    missing = import_with(CLMAML_LIBRARY=str(tmp_path / "none.so"))
    assert missing.returncode and "ImportError" in missing.stderr and "none.so" in missing.stderr


def test_a_library_of_another_kind_is_refused():
    other = import_with(CLMAML_LIBRARY="libm.so.6")
    assert other.returncode and "ImportError" in other.stderr and "it is of another version" in other.stderr


def test_version():
    assert f"VERSION {clmaml.__version__}" in (ROOT / "CMakeLists.txt").read_text()
