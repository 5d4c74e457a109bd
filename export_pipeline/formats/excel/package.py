"""The zip file that a workbook is."""

from export_pipeline.zips.package import LIMIT, Deflated, Package

__all__ = ["LIMIT", "Deflated", "Package"]
