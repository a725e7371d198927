"""Repair: edit tuned weights back towards safety, as file operations."""

from holdfast.repair.record import RepairRecord
from holdfast.repair.scaling import scale

__all__ = ["RepairRecord", "scale"]
