"""How long the README and the guides are, and that their links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.guides.documents import ALL, FOLDER, README, ROOT, Document
from tests.guides.reference import render
from voipstudio_cmb.guides import read

each_document = pytest.mark.parametrize("document", ALL, ids=lambda document: document.name)


def _prose(document: Document) -> str:
    return re.sub(r"^```.*?^```$", "", document.text, flags=re.DOTALL | re.MULTILINE)


def _anchors(text: str) -> set[str]:
    """The names by which headings can be linked, made as forges make them."""
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_the_readme_fits_on_a_screen_and_a_half() -> None:
    assert len(README.text.splitlines()) <= 150
    assert len(README.text.split()) <= 1100


@pytest.mark.parametrize("document", ALL[:-1], ids=lambda document: document.name)
def test_no_bullet_is_long_and_no_line_wide(document: Document) -> None:
    bullets = re.findall(
        r"^ *(?:[*-]|\d+\.) (.*(?:\n +(?![*-] ).*)*)", _prose(document), re.MULTILINE
    )
    assert all(len(bullet.split()) <= 60 for bullet in bullets), max(bullets, key=len)
    wide = [
        line for line in _prose(document).splitlines() if len(line) > 125 and line[0] not in "|["
    ]
    assert not wide, wide


@each_document
def test_each_link_leads_somewhere(document: Document) -> None:
    folder = ROOT if document is README else FOLDER
    for target in re.findall(r"\]\(([^)\s]+)\)", _prose(document)):
        if target.startswith("https://"):
            continue
        path, _, anchor = target.partition("#")
        file = folder / path if path else folder / document.name
        assert file.exists(), target
        assert not anchor or anchor in _anchors(file.read_text("utf-8")), target


@pytest.mark.engines
def test_no_word_is_misspelt() -> None:
    texts = ["README.md", "CHANGELOG.md", ".github", "voipstudio_cmb/guides"]
    command = [Path(sys.executable).with_name("typos"), "--format", "brief", *texts]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_readme_links_each_guide() -> None:
    for guide in ALL[1:]:
        assert f"]({FOLDER.relative_to(ROOT)}/{guide.name})" in README.text, guide.name


@each_document
def test_a_guide_says_first_what_it_is_for(document: Document) -> None:
    lines = document.text.splitlines()
    assert re.fullmatch(r"# \S.*", lines[0])
    assert lines[1] == ""
    assert re.match(r"[A-Z`]", lines[2])


def test_the_reference_is_that_of_the_code() -> None:
    assert read("reference") == render(), "python -m tests.guides.reference writes it"
