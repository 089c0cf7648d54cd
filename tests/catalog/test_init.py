import pytest

from higgsdemo import catalog


def test_every_public_name_is_there() -> None:
    assert {name: getattr(catalog, name).__name__ for name in catalog.__all__} == {
        name: name for name in catalog.__all__
    }


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'load_sett'"):
        _ = catalog.load_sett
