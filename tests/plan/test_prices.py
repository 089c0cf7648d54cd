"""The price table: the demo's sum, and what is wrong with one."""

from pathlib import Path

import pytest

from higgsdemo.errors import UsageError
from higgsdemo.plan import read_prices


def test_the_sum_of_the_demo() -> None:
    """660 x n1-highmem-16: 104 USD for ten minutes, 260 with a quarter of an hour around them."""
    prices = read_prices()
    assert prices.usd("n1-highmem-16", 660, 600) == pytest.approx(104, rel=0.01)
    billed = 600 + prices.setup_s
    assert prices.usd("n1-highmem-16", 660, billed) == pytest.approx(260, rel=0.01)
    on_demand = prices.usd("n1-highmem-16", 660, billed)
    spot = prices.usd("n1-highmem-16", 660, billed, spot=True)
    assert on_demand is not None
    assert spot is not None
    assert on_demand / spot == pytest.approx(5, rel=0.1)
    assert "approximate" in prices.source


def test_a_table_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(
        "currency: CHF\nmachines:\n- {flavor: m2.large, cores: 4, memory: 8, usd_per_hour: 0.5}\n"
    )
    prices = read_prices(path)
    assert prices.usd("m2.large", 2, 3600) == 1.0
    assert prices.usd("m2.large", 2, 3600, spot=True) is None
    assert prices.usd("n1-highmem-16", 2, 3600) is None
    assert prices.machines["m2.large"].memory_bytes == 8 * 2**30


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "the whole"),
        ("machines: [{flavor: a, cores: 1, memory: 1}]", "machines.0.usd_per_hour"),
        ("machines: [{flavor: a, cores: 0, memory: 1, usd_per_hour: 1}]", "machines.0.cores"),
        ("machines: [{flavor: a, cores: 1, memory: 1, usd_per_hour: -1}]", "usd_per_hour"),
        ("machines: [{flavor: a, cores: 1, memory: 1, usd_per_hour: .nan}]", "usd_per_hour"),
        ("machines: []\nprices: 1", "prices"),
        ("machines: [{", "not a price table"),
        (
            "machines: [{x}, {x}]".replace("x", "flavor: a, cores: 1, memory: 1, usd_per_hour: 1"),
            "the price of a is there twice",
        ),
    ],
)
def test_not_a_price_table(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        read_prices(path)
    assert said in str(caught.value)
    assert str(path) in str(caught.value)


def test_the_table_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "prices.yaml"
    path.write_text("machines: [{flavor: mine, cores: 1, memory: 1, usd_per_hour: 1}]")
    monkeypatch.setenv("HIGGSDEMO_PRICES", str(path))
    assert list(read_prices().machines) == ["mine"]


def test_no_such_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the price table"):
        read_prices(tmp_path / "absent.yaml")
