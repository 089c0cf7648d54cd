"""What machines cost: a table the user can replace, each number with where it is from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any

from higgsdemo.errors import UsageError

ENVIRONMENT = "HIGGSDEMO_PRICES"  # a table of one's own


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type: cores, memory in bytes, USD per hour on demand and as spot."""

    flavor: str
    cores: float
    memory_bytes: int
    usd_per_hour: float
    spot_usd_per_hour: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table.

    `cluster_usd_per_hour` is asked for each cluster beside its machines; `setup_s` is how long
    machines are billed beside the run itself, while clusters are made, prepared and deleted.
    """

    machines: Mapping[str, Machine]
    source: str = ""
    currency: str = "USD"
    cluster_usd_per_hour: float = 0.0
    setup_s: float = 0.0

    def usd(self, flavor: str, nodes: int, seconds: float, *, spot: bool = False) -> float | None:
        """Return what `nodes` machines cost for so long; None where the table does not say."""
        machine = self.machines.get(flavor)
        price = None
        if machine is not None:
            price = machine.spot_usd_per_hour if spot else machine.usd_per_hour
        if price is None:
            return None
        return (nodes * price + self.cluster_usd_per_hour) * seconds / 3600


def read_prices(path: Path | None = None) -> Prices:
    """Read a price table; by default what HIGGSDEMO_PRICES names, or that of the package.

    Raises UsageError, with the place in the file, for what is not one.
    """
    import yaml

    if path is None and os.environ.get(ENVIRONMENT):
        path = Path(os.environ[ENVIRONMENT])
    where = str(path) if path else "the price table of the package"
    try:
        text = (
            path.read_text(encoding="utf-8")
            if path
            else (resources.files(__package__) / "data" / "prices.yaml").read_text("utf-8")
        )
        document = yaml.safe_load(text)
    except OSError as error:
        raise UsageError(
            "cannot read the price table", why=error.strerror or str(error), where=where
        ) from error
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(
            "not a price table", why=" ".join(str(error).split()), where=where
        ) from error
    return _checked(document, where)


def _checked(document: Any, where: str) -> Prices:
    from pydantic import BaseModel, ConfigDict, Field, ValidationError

    amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]

    class MachineRow(BaseModel):
        model_config = ConfigDict(extra="forbid")
        flavor: str
        cores: Annotated[float, Field(gt=0)]
        memory: Annotated[float, Field(gt=0, description="GiB")]
        usd_per_hour: amount
        spot: amount | None = None

    class Table(BaseModel):
        model_config = ConfigDict(extra="forbid")
        currency: str = "USD"
        source: str = ""
        cluster_per_hour: amount = 0.0
        setup_minutes: amount = 0.0
        machines: list[MachineRow]

    try:
        table = Table.model_validate(document)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            "not a price table",
            why=first["msg"],
            where=f"{where}: {'.'.join(map(str, first['loc'])) or 'the whole'}",
            hint="a table of your own begins as a copy of the one in the documentation",
        ) from error
    flavors = [row.flavor for row in table.machines]
    twice = sorted({flavor for flavor in flavors if flavors.count(flavor) > 1})
    if twice:
        raise UsageError(f"the price of {twice[0]} is there twice", where=where)
    return Prices(
        {
            row.flavor: Machine(
                row.flavor, row.cores, int(row.memory * 2**30), row.usd_per_hour, row.spot
            )
            for row in table.machines
        },
        table.source,
        table.currency,
        table.cluster_per_hour,
        60 * table.setup_minutes,
    )
