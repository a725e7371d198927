"""Mix: safety rows in the base model's own words, spread through the user's data."""

from holdfast.mix.barred import Barred, load_barred
from holdfast.mix.build import mix
from holdfast.mix.config import MixConfig
from holdfast.mix.openai import as_line, as_messages
from holdfast.mix.record import BarredSuite, MixRecord
from holdfast.rooms import callable_room

__all__ = ["Barred", "BarredSuite", "MixConfig", "MixRecord", "as_line", "as_messages", "load_barred", "mix"]

callable_room(__name__, "mix")
