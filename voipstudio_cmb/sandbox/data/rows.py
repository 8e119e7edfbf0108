"""The fields of one row, computed from a seed and its id, so that no row has to be stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

import attrs

Row = dict[str, Any]

# Nothing here can ring or be reached: the telephone numbers are reserved for fiction by Ofcom and
# the NANPA, the addresses for documentation by RFC 5737.
_PEOPLE: Final = (
    "Anna Schmidt", "Zoë Ångström", "José Núñez", "Łukasz Żak", "李小龙", "Siobhán O'Neill",
    "Mehmet Öztürk", "Ольга Иванова", "François Lefèvre", "Grace Hopper", "محمد علي",
    "Bjørn Sørensen", "Nguyễn Văn An", "Emily Clark", "Renée \"Ren\" Müller", "Tom & Co 🚀",
)  # fmt: skip
_SHOPS: Final = (
    "Harbour Books", "Café Déjà Vu", "North, South & Sons", "Größe 42", "Pixel Forge",
    "Tea \"4\" Two", "Blumen Übel", "Ocean View Travel", "Señor Taco", "Smørrebrød 24",
    "Kraków Rowery", "東京デンキ",
)  # fmt: skip
_COUNTRIES: Final = ("GB", "US", "DE", "FR", "PL", "ES", "IE", "SE")
_RATES: Final = (0.15, 3.2, 8.11, 100)
_ALLOWED: Final = ("GB", "GB,IE", "US,CA", "DE,AT,CH", "", None)
_DISPOSITIONS: Final = ("ANSWERED", "ANSWERED", "ANSWERED", "NO ANSWER", "BUSY", "FAILED")
_BROWSERS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/139.0 Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Version/18.0 Safari/605.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:142.0) Gecko/20100101 Firefox/142.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
)
_NETWORKS: Final = ("192.0.2", "198.51.100", "203.0.113")
_PAGES: Final = ("", "pricing", "contact", "blog/how-we-work", "search?q=k%C3%A4se&page=2")
_REFERRERS: Final = ("https://search.example/", "https://news.example/a,b", "", None)
_CODECS: Final = ("PCMA", "PCMU", "OPUS", "G722", None)
_PHONES: Final = ("Deskphone 2.1", "WebRTC", 'Softphone/5.0 ("beta"; x64)', None)
_LABELS: Final = ((), (), ("VIP",), ("call back", "größer als 5"))
_METADATA: Final[tuple[str | Row | None, ...]] = (
    "",
    None,
    '{"as": "text"}',
    {"utm": {"source": "news,letter", "terms": ["käse", None]}, "score": 0.75, "first": True},
)

ZERO_DATE: Final = "0000-00-00 00:00:00"
"""What MySQL stores for a time that is none."""

_EPOCH: Final = datetime(2024, 1, 1)
_DAY: Final = 24 * 3600
_TWO_YEARS: Final = 2 * 365 * _DAY
_CENTURY: Final = 100 * 365 * _DAY
_SHARES: Final = 1_000_000
_MASK: Final = (1 << 64) - 1
_STRIDE: Final = 3


def mix(seed: int, number: int) -> int:
    """Returns 64 well-mixed bits of `seed` and `number` (splitmix64's finalizer)."""
    bits = (seed * 0x9E3779B97F4A7C15 + number * 0xD1B54A32D192ED03) & _MASK
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & _MASK
    return bits ^ (bits >> 31)


def ids(seed: int, first: int, count: int) -> list[int]:
    """Returns `count` ascending ids from `first` on, with gaps like those of deleted rows."""
    return [first + _STRIDE * index + mix(seed, index) % _STRIDE for index in range(count)]


def campaign(seed: int, number: int, button_ids: Sequence[int]) -> Row:
    """Returns the documented fields of one campaign, without ``id`` and ``created_at``."""
    bits = mix(seed, number)
    shop = _SHOPS[number % len(_SHOPS)]
    slug = f"shop{number % len(_SHOPS) + 1}"
    return {
        "allowed_countries": _ALLOWED[(bits >> 3) % len(_ALLOWED)],
        "button_id": button_ids[number % len(button_ids)] if button_ids else None,
        "culture": (bits >> 7) % 8,
        "ddi": 442079460000 + (bits >> 11) % 1000,
        "floating_icon": bool(bits >> 17 & 1),
        "name": shop,
        "position": (bits >> 19) % 8,
        "privacy_policy_url": f"https://{slug}.example/privacy",
        "show_to_allowed_countries_only": bool(bits >> 23 & 1),
        "title": f"{shop}: call me back",
        "welcome_screen_msg": f"Hello from {shop}!\nWe call you in 30 seconds.",
    }


@attrs.frozen
class RowMaker:
    """Computes the rows of one table, a method for each kind of row."""

    seed: int
    first: int
    """The lowest id that the table can have."""
    count: int
    """The rows that the table begins with; they spread over two years."""
    campaigns: Sequence[Row]
    visitor_ids: Sequence[int] = ()
    zero_dates: float = 0.0
    """The share of rows whose times are zero dates; the id decides."""

    def website(self, row_id: int) -> Row:
        """Returns a row that has the documented fields alone."""
        return self._record(row_id, row_id)

    def setting(self, row_id: int) -> Row:
        """Returns a setting, with the ``max_call_rate`` that a later version of the API added."""
        return {**self._record(row_id, row_id), "max_call_rate": _RATES[row_id % 4]}

    def button(self, row_id: int) -> Row:
        """Returns a button, with its pictures and with its own id as ``button_id``."""
        pictures = {"data_online": "data:,online", "data_offline": "data:,offline"}
        return {**self._record(row_id, row_id), "button_id": row_id, **pictures}

    def cdr(self, row_id: int) -> Row:
        """Returns a call record, with the fields that the account-wide ``/cdrs`` has."""
        bits = mix(self.seed, row_id)
        row = self._record(row_id, bits >> 3)
        disposition = _DISPOSITIONS[bits % 6]
        billsec = (bits >> 8) % 1800 if disposition == "ANSWERED" else 0
        visitors = self.visitor_ids
        agent = _PEOPLE[(bits >> 50) % len(_PEOPLE)]
        src = f"44207946{(bits >> 24) % 1000:04}"
        return {
            **row,
            "calldate": row["created_at"],
            "src": src,
            "dst": _phone(bits >> 34),
            "duration": billsec + (bits >> 44) % 30,
            "billsec": billsec,
            "disposition": disposition,
            "charge": round(billsec / 2400, 4),
            "visitor_id": visitors[(bits >> 20) % len(visitors)] if visitors else None,
            "agent": agent,
            "clid": f'"{agent}" <{src}>',
            **_legs(row_id, bits),
        }

    def visitor(self, row_id: int) -> Row:
        """Returns a visitor: who looked at which page, from where and with which browser."""
        bits = mix(self.seed, row_id)
        row = self._record(row_id, bits >> 3)
        return {
            **row,
            "ip": f"{_NETWORKS[(bits >> 8) % 3]}.{1 + (bits >> 12) % 254}",
            "country": _COUNTRIES[(bits >> 20) % len(_COUNTRIES)],
            "user_agent": _BROWSERS[(bits >> 24) % len(_BROWSERS)],
            "page_url": row["privacy_policy_url"].removesuffix("privacy")
            + _PAGES[(bits >> 28) % len(_PAGES)],
            "referrer": _REFERRERS[(bits >> 32) % len(_REFERRERS)],
            "phone": _phone(bits >> 36),
            "visitor_name": _PEOPLE[(bits >> 50) % len(_PEOPLE)],
            "visits": 1 + (bits >> 56) % 9,
        }

    def _record(self, row_id: int, number: int) -> Row:
        """Returns the documented fields. A higher id is created later."""
        step = min(max(1, _TWO_YEARS // max(1, self.count * _STRIDE)), _DAY)
        # A test may insert any id, and Python's calendar ends in the year 9999.
        seconds = min(max(0, row_id - self.first) * step, _CENTURY)
        created_at = str(_EPOCH + timedelta(seconds=seconds))
        if mix(self.seed + 1, row_id) % _SHARES < self.zero_dates * _SHARES:
            created_at = ZERO_DATE
        campaign = self.campaigns[number % len(self.campaigns)]
        return {"id": row_id, "created_at": created_at, **campaign}


def _legs(row_id: int, bits: int) -> Row:
    """Returns what a call record tells about the two ends of its call, and what is nested in it."""
    root = bits >> 9 & 3 != 0
    return {
        "type": "IOL"[(bits >> 5) % 3],
        "call_id": f"{bits:016x}",
        "live_id": row_id * 2,
        "root_live_id": row_id * 2 if root else row_id * 2 - 2,
        "parent_live_id": None if root else row_id * 2 - 2,
        "is_root": root,
        "nb_children": (bits >> 13) % 3,
        "user_id": 100_100 + (bits >> 15) % 50,
        "sip_endpoint_id": 7000 + (bits >> 17) % 50,
        "server_id": 1 + (bits >> 19) % 4,
        "src_id": 100_100 + (bits >> 21) % 50,
        "src_name": _PEOPLE[(bits >> 23) % len(_PEOPLE)],
        "src_ua": _PHONES[(bits >> 25) % 4],
        "src_codec": _CODECS[(bits >> 27) % 5],
        "dst_id": 100_100 + (bits >> 29) % 50,
        "dst_name": _PEOPLE[(bits >> 31) % len(_PEOPLE)],
        "dst_ua": _PHONES[(bits >> 33) % 4],
        "dst_codec": _CODECS[(bits >> 35) % 5],
        "destination": _COUNTRIES[(bits >> 37) % len(_COUNTRIES)],
        "context": ("LOCAL", "OUT", "IN")[(bits >> 39) % 3],
        "t_cause": (16, 17, 19, 31)[(bits >> 41) % 4],
        "rate": round(0.005 + (bits >> 43) % 200 / 1000, 4),
        "info": (None, "", "transferred;\ncall back later")[(bits >> 45) % 3],
        "nb_notes": (bits >> 47) % 3,
        "labels": list(_LABELS[(bits >> 49) % 4]),
        "metadata": _METADATA[(bits >> 51) % 4],
    }


def _phone(bits: int) -> str:
    if bits & 1:
        return f"+442079460{(bits >> 1) % 1000:03}"
    return f"+1{201 + (bits >> 1) % 700}55501{(bits >> 12) % 100:02}"
