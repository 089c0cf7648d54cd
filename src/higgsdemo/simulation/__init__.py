"""The generator of SIMULATED DEMO DATA: files like the real ones, from documented physics."""

from higgsdemo.simulation.files import LABEL
from higgsdemo.simulation.generate import DEFAULT_SCALE, Progress, Settings, generate
from higgsdemo.simulation.shapes import Shape, write_shape

__all__ = ["DEFAULT_SCALE", "LABEL", "Progress", "Settings", "Shape", "generate", "write_shape"]
