"""The forecast in words: every doubt that the numbers have is said."""

from higgsdemo.display.forecast import fact_line, forecast_table
from higgsdemo.model import Task, TaskFile
from higgsdemo.plan import ClusterShape, Pace, make_forecast, read_prices
from tests.display.test_tables import text


def tasks(count: int, size: int | None) -> list[Task]:
    return [Task("s", (TaskFile(f"{n}.root", "u", size),)) for n in range(count)]


def test_a_row_a_cluster_and_the_sums() -> None:
    shares = [
        (
            ClusterShape(f"kubecon-demo-{n}[x]", 1056, 66, "n1-highmem-16"),
            tasks(2692, 2_600_000_000),
        )
        for n in range(10)
    ]
    pace = Pace(store_bytes_per_s=2.5e10)
    said = text(forecast_table(make_forecast(shares, prices=read_prices(), pace=pace)))
    assert "kubecon-demo-9[x]" in said
    assert "26,920 tasks, 70 TB, on 10,560 slots of 10 clusters: at least 46 min 40 s" in said
    assert "USD on demand, about" in said
    assert "15 min 00 s to make, prepare and delete" in said
    assert "200 Gbit/s from the store" in said
    assert "slots" in said


def test_what_is_not_known_is_said_so() -> None:
    said = text(forecast_table(make_forecast([(ClusterShape("lab", 10), tasks(4, None))])))
    assert "at least unknown" in said
    assert "price" not in said


def test_fact_beside_forecast() -> None:
    document = {
        "forecast": {"seconds": 60.0},
        "fact": {"seconds": 90.0},
        "fact_over_forecast": 1.5,
    }
    assert fact_line(document) == "forecast: at least 1 min 00 s; took 1 min 30 s, 1.5x"
    assert fact_line({"fact_over_forecast": None}) is None
