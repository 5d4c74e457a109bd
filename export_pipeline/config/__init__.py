"""An export as a person writes it: which rows, shaped how, in which format, delivered where and when."""

from export_pipeline.config.export import ExportConfig
from export_pipeline.config.outputs import Output
from export_pipeline.config.places import normalised

__all__ = ["ExportConfig", "Output", "normalised"]
