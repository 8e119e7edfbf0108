"""The notebook that comes with the package runs, and the guide quotes it as it stands."""

from __future__ import annotations

import json

import pytest

from tests.guides.documents import ALL, FOLDER
from voipstudio_cmb.sandbox import Sandbox

TEXT = (FOLDER / "calls.ipynb").read_text("utf-8")
CELLS = [
    "".join(cell["source"]) for cell in json.loads(TEXT)["cells"] if cell["cell_type"] == "code"
]


def test_the_guide_quotes_its_cells() -> None:
    guide = next(each for each in ALL if each.name == "notebooks.md")
    quoted = [block.text.strip() for block in guide.blocks if block.language == "ipython"]
    assert quoted == CELLS[: len(quoted)] != []


def test_it_is_kept_without_outputs() -> None:
    assert not any(cell.get("outputs") for cell in json.loads(TEXT)["cells"])


@pytest.mark.engines
@pytest.mark.filterwarnings("ignore")  # what Jupyter's packages will leave out some day
def test_it_runs(api: Sandbox) -> None:
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.reads(TEXT, as_version=4)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    shown = [
        output["data"]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if "data" in output
    ]
    assert "Pong" in shown[0]["text/plain"]
    assert shown[1]["text/plain"].count("Cdr(") == 5
    assert any("image/png" in each for each in shown)
    assert api.token not in nbformat.writes(notebook)
