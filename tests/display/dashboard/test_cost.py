import datetime

import pytest

from higgsdemo.display.dashboard.cost import Price

BEGAN = datetime.datetime(2026, 11, 28, 10, tzinfo=datetime.UTC)
RECORD = {
    "created": BEGAN.isoformat(),
    "forecast": {"price": 30.0, "seconds": 1200.0, "setup_s": 300.0, "currency": "USD"},
}


def test_cost_so_far_and_at_the_end() -> None:
    price = Price.of(RECORD)
    assert price is not None
    now = BEGAN.timestamp() + 600
    said = price.to_json(now, 600.0, ended=False)
    assert said == {"currency": "USD", "so_far": pytest.approx(18.0), "forecast": pytest.approx(30)}
    assert price.to_json(now, None, ended=False)["forecast"] is None
    assert price.to_json(now, None, ended=True)["forecast"] == pytest.approx(18.0)


@pytest.mark.parametrize(
    "record",
    [
        {},
        {"forecast": {"seconds": 3.0, "workers": 2}, "created": BEGAN.isoformat()},
        {**RECORD, "created": "yesterday"},
        {**RECORD, "forecast": {"price": None, "seconds": 1.0}},
        {**RECORD, "forecast": {"price": 1.0, "seconds": 0.0}},
        {**RECORD, "forecast": []},
    ],
)
def test_without_prices_there_is_no_cost(record: dict[str, object]) -> None:
    assert Price.of(record) is None
