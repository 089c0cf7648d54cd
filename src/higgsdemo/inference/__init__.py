"""From counts to physics: luminosity normalisation, yields, signal strength, significance."""

from higgsdemo.inference.completeness import Completeness, Luminosity, SampleShare, Share
from higgsdemo.inference.fit import Fit, LeftOut, fit
from higgsdemo.inference.normalisation import (
    Normalised,
    Remark,
    Template,
    normalise,
)
from higgsdemo.inference.poisson import garwood
from higgsdemo.inference.yields import Yield, Yields, yields

__all__ = [
    "Completeness",
    "Fit",
    "LeftOut",
    "Luminosity",
    "Normalised",
    "Remark",
    "SampleShare",
    "Share",
    "Template",
    "Yield",
    "Yields",
    "fit",
    "garwood",
    "normalise",
    "yields",
]
