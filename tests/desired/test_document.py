"""Documents: what they say, and every mistake with its line before anything is sent."""

from __future__ import annotations

import os
import time
import tomllib
from decimal import Decimal
from pathlib import Path

import pytest

from tests.fakes.secrets import CANARY
from voipstudio_cmb.desired import read
from voipstudio_cmb.desired.document import parse
from voipstudio_cmb.desired.lines import line_of, lines_of
from voipstudio_cmb.errors import ClientMisuse, DocumentError

GOOD = """\
account = "id 1001"  # ours

[buttons.header]
id = 222
name = "Header"

[settings.shop]
name = "Shop"
button = "header"
allowed_countries = ["GB",
  "IE"]
max_call_rate = 0.15
null = ["privacy_policy_url"]
creating = true

[managed]
buttons = [222]
"""


def test_a_document_as_values(tmp_path: Path) -> None:
    path = tmp_path / "widgets.toml"
    path.write_text(GOOD)
    document = read(str(path))
    part = document.parts[""]
    assert document.accounts == ()
    assert part.account == "id 1001"
    assert part.managed == {"buttons": (222,)}
    header, shop = part.sections
    assert (header.kind, header.local, header.id, header.line) == ("buttons", "header", 222, 3)
    assert (shop.id, shop.button, shop.creating, shop.line) == (None, "header", True, 7)
    assert shop.values == {
        "name": "Shop", "allowed_countries": ["GB", "IE"], "max_call_rate": Decimal("0.15"),
        "privacy_policy_url": None,
    }  # fmt: skip


def test_a_document_of_many_accounts() -> None:
    text = (
        '[accounts.a]\naccount = "id 1"\n[accounts.a.settings.x]\nname = "x"\n'
        '[accounts.b.settings.x]\nname = "x"\n[accounts.b.managed]\nsettings = [5]\n'
    )
    document = parse(Path("w.toml"), text.encode())
    assert document.accounts == ("a", "b")
    assert document.parts["a"].account == "id 1"
    assert document.parts["b"].managed == {"settings": (5,)}


def mistakes(text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    with pytest.raises(DocumentError) as caught:
        parse(Path("w.toml"), content)
    assert isinstance(caught.value, ClientMisuse)
    return str(caught.value).split("\n")


SHOP = '[settings.shop]\nname = "Shop"\n'


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (
            SHOP + "floating_icn = true",
            3,
            "no attribute 'floating_icn'; did you mean floating_icon?",
        ),
        (SHOP + "created_at = 'x'", 3, "no attribute 'created_at'"),
        ("[setting.shop]\nname = 'x'", 1, "no key 'setting'; did you mean settings?"),
        ("\nversion = 1", 2, "no key 'version'"),
        (SHOP + "floating_icon = 'true'", 3, "floating_icon must be bool or None"),
        (SHOP + "ddi_e164 = '4420'", 3, "ddi_e164 must be int or None"),
        (SHOP + "button_id = 9223372036854775808", 3, "out of its range"),
        (SHOP + "max_call_rate = nan", 3, "max_call_rate must be a finite number"),
        (SHOP + "max_call_rate = 'free'", 3, "out of its range"),
        (SHOP + "allowed_countries = [1]", 3, "allowed_countries must be str or list of str or"),
        (SHOP + "welcome_screen_msg = 2026-01-01", 3, "welcome_screen_msg must be"),
        (SHOP + "name = 'x'", 3, "stands above already"),
        (SHOP + "[settings.shop]", 3, "stands above already"),
        (SHOP + "[settings.b]\nname = 'Shop'", 2, "settings.shop: another section has this name"),
        (SHOP + "id = 5\n[settings.b]\nid = 5\n", 5, "settings.b: shop has this id too"),
        (SHOP + "id = 0", 3, "the id of a resource"),
        (SHOP + "id = true", 3, "the id of a resource"),
        (SHOP + "creating = false", 3, "apply writes this"),
        (SHOP + "button = 'x'", 3, "there is no [buttons.NAME]"),
        (SHOP + "button = 'hader'\n[buttons.header]\nid=1", 3, "did you mean header?"),
        (SHOP + "button = 'a'\nbutton_id = 1\n[buttons.a]\nid=1", 3, "say the same"),
        (SHOP + "button = 'a'\nnull = ['button_id']\n[buttons.a]\nid=1", 3, "say the same"),
        (SHOP + "null = ['name']", 2, "name is in null too"),
        (SHOP + "null = ['nam']", 3, "no attribute 'nam'; did you mean name?"),
        (SHOP + "null = ['culture', 'culture']", 3, "names an attribute twice"),
        (SHOP + "null = 'culture'", 3, "a list of the attributes"),
        ("[buttons.b]\nname = 'b'\nbutton = 'x'", 3, "no attribute 'button'"),
        ("[settings.shop]\nculture = 1", 1, "without an id it needs a name"),
        ("[settings.shop]\nname = ' x'", 1, "with no blanks around it"),
        ("[settings]\nshop = 5", 2, "write [settings.NAME]"),
        ("settings = 5", 1, "write [settings.NAME]"),
        ("[settings.'a\\n']\nname = 'x'", 1, "a name is 1 to 64 letters"),
        ("account = 1001", 1, "as `pull` writes it"),
        ("managed = 1", 1, "write [managed]"),
        ("[managed]\nsetting = [1]", 2, "no list 'setting'; did you mean settings?"),
        ("[managed]\nsettings = [1, 1]", 2, "a list of ids, each once"),
        ("[managed]\nsettings = ['x']", 2, "a list of ids, each once"),
        (SHOP + "[accounts.a.settings.x]\nname='x'", 1, "below one of them"),
        ("[accounts.a.setting.x]\nname='x'", 1, "no key 'setting'; did you mean settings?"),
        ("[accounts.a.settings.x]\nnam='x'", 2, "accounts.a.settings.x: no attribute 'nam'"),
        ("accounts = 1", 1, "write [accounts.NAME]"),
        ("# ours\n[accounts]", 2, "write [accounts.NAME]"),
        ("", 1, "it is empty: pull it, or write [settings.NAME]"),
        ("\n \n", 1, "it is empty"),
        (SHOP + "x = ", 3, "it is no TOML: fix it there, or right above"),
        (
            SHOP + "culture = null  # none",
            3,
            'it is no TOML: TOML has no null: write null = ["NAME"]',
        ),
        (SHOP + "floating_icon = True\nculture = 1", 3, "write true or false, in lower case"),
        (SHOP + "position = left", 3, "a text stands in quotes"),
        (SHOP + "x = '''", 3, "it is no TOML"),
        (SHOP + "x = " + "[" * 5000, 1, "nested too deeply"),
        ("x = " + "9" * 5000, 1, "it is no TOML"),
    ],
)
def test_a_mistake_is_named_with_its_line(text: str, line: int, words: str) -> None:
    found = mistakes(text)
    assert any(each.startswith(f"w.toml:{line}: ") and words in each for each in found), found


def test_a_name_of_another_type_is_one_mistake() -> None:
    assert mistakes("[settings.shop]\nname = 5") == [
        "w.toml:2: settings.shop: name must be str or None, not 5"
    ]


@pytest.mark.parametrize(
    ("content", "line", "words"),
    [
        (b"\xef\xbb\xbf" + GOOD.encode(), 1, "byte order mark"),
        (GOOD.encode("utf-16"), 1, "UTF-16"),
        (GOOD.encode("utf-16-le"), 1, "UTF-16"),
        (GOOD.encode("utf-32"), 1, "UTF-32"),
        (b"account = 'x'\nx = '\xff'", 2, "no text in UTF-8"),
    ],
)
def test_a_file_in_another_encoding_is_refused(content: bytes, line: int, words: str) -> None:
    [found] = mistakes(content)
    assert found.startswith(f"w.toml:{line}: ")
    assert words in found


def test_all_mistakes_are_found_at_once() -> None:
    found = mistakes("verson = 1\n[settings.a]\nnam = 'a'\n[buttons.b]\nid = 0\n[managed]\nx = 1\n")
    assert [int(each.split(":")[1]) for each in found] == [1, 2, 3, 5, 7]


@pytest.mark.parametrize(
    "text",
    [
        f"token = '{CANARY}'",
        f"{CANARY} = 1",
        SHOP + f"{CANARY} = 1",
        SHOP + f"ddi_e164 = '{CANARY}'",
        SHOP + f"null = ['{CANARY}']",
        SHOP + f"id = '{CANARY}'",
        SHOP + f"button = '{CANARY}'",
        f"[managed]\nsettings = ['{CANARY}']",
        SHOP + f"x = '{CANARY}",
    ],
)
def test_a_token_in_the_wrong_place_is_not_quoted(text: str) -> None:
    assert CANARY not in "".join(mistakes(text))


def test_a_file_that_can_not_be_read(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.toml", "a\0b"):
        with pytest.raises(DocumentError, match="can't be read"):
            read(path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DocumentError, match="regular"):
        read(tmp_path / "pipe")


def test_lines_of_keys_however_they_are_written() -> None:
    text = (
        'a.b = 1\n# [x]\n\n[ settings . "the shop" ]  # here\nm = """\n[settings.no]\nz = 1\n"""\n'
        "l = [\n  1, # ]\n  2,\n]\ni = { k = 1 }\n[[t]]\nq = 1\n"
    )
    lines = lines_of(text)
    shop = ("settings", "the shop")
    assert lines[("a", "b")] == 1
    assert lines[shop] == 4
    assert lines[(*shop, "m")] == 5
    assert lines[(*shop, "l")] == 9
    assert lines[(*shop, "i", "k")] == 13
    assert lines[("t", "q")] == 15
    assert line_of(lines, (*shop, "missing")) == 4
    assert line_of(lines, ("missing",)) == 1
    assert ("settings", "no") not in lines


@pytest.mark.parametrize(
    "value",
    [
        '"""\na = 1\n[x]\n\\""" # ]\n""\n"""""', "'''\n[x]\n\\\n''''", r'"\\\"[" # "', r"'[\' # [",
        '[ "]", # ]\n[\n{a = "}"}], \n\n]', '{ a = """\n}""" }', "1979-05-27 07:32:00 # [",
    ],
)  # fmt: skip
def test_lines_behind_any_value(value: str) -> None:
    text = f"# [\n'[' = {value}\n\n[y]\nz = 1\n"
    tomllib.loads(text)
    lines = lines_of(text)
    last = text.count("\n")
    assert (lines["[",], lines["y",], lines["y", "z"]) == (2, last - 1, last)


def test_a_style_sheet_over_many_lines_takes_no_time() -> None:
    text = '[buttons.a]\nname = "a"\ndata_online = """\n' + ".a[b] { c: d }\n" * 20_000 + '"""\n'
    start = time.process_time()
    assert lines_of(text)["buttons", "a", "data_online"] == 3
    assert time.process_time() - start < 5
