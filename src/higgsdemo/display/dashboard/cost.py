"""What a run has cost so far, and will have cost: by the prices that its forecast was made with."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Price:
    """What the clusters of a run cost a second, on demand, while they are there.

    `setup_s` is the time in which clusters are made and deleted, paid too; `began` is when the
    run was made, s since 1970.
    """

    currency: str
    per_s: float
    setup_s: float
    began: float

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Price | None:
        """Read it from run.json; None where that has no prices."""
        try:
            forecast = record["forecast"]
            price, seconds = float(forecast["price"]), float(forecast["seconds"])
            setup_s = float(forecast.get("setup_s") or 0.0)
            began = datetime.datetime.fromisoformat(record["created"]).timestamp()
            currency = str(forecast.get("currency") or "USD")[:8]
        except (KeyError, TypeError, ValueError, OverflowError):
            return None
        billed = seconds + setup_s
        if not (billed > 0 and price > 0 and math.isfinite(price / billed)):
            return None
        return cls(currency, price / billed, setup_s, began)

    def to_json(self, now: float, left_s: float | None, *, ended: bool) -> dict[str, Any]:
        """Return cost so far and the forecast at this time as a section of the page."""
        elapsed = max(0.0, now - self.began)
        rest = 0.0 if ended else left_s
        return {
            "currency": self.currency,
            "so_far": self.per_s * (elapsed + self.setup_s),
            "forecast": None if rest is None else self.per_s * (elapsed + rest + self.setup_s),
        }
