"""Parquet and Arrow files and Hugging Face data folders: rows are read in record batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from holdfast.errors import InputError, missing_extra
from holdfast.files import atomic_writer
from holdfast.formats.container import Chunk
from holdfast.formats.rows import Record

_ROWS = 4096


@dataclass
class ColumnsFile:
    """One or more Parquet or Arrow files of one schema; rows are numbered from 1 over all."""

    path: Path
    parts: tuple[Path, ...]
    size: int
    kind: str = "parquet"
    suffix: str = ".parquet"

    def chunks(self, chunk_bytes: int, after: Chunk | None = None) -> Iterator[Chunk]:
        """Record batches, about `chunk_bytes` each (at most 4,096 rows)."""
        skip = -1 if after is None else after.index
        index, row = 0, 1
        for batch in self._batches():
            size = max(batch.nbytes, 1)
            step = max(1, min(_ROWS, batch.num_rows * chunk_bytes // size))
            for at in range(0, batch.num_rows, step):
                part = batch.slice(at, step)
                if index > skip:
                    payload = _to_bytes(part)
                    yield Chunk(index, row, part.num_rows, payload=payload, lines=part.num_rows)
                index, row = index + 1, row + part.num_rows

    def records(self, chunk: Chunk) -> Iterator[Record]:
        """The rows of a chunk; `raw` is a JSON view, since a column file has no row bytes."""
        for number, value in enumerate(_from_bytes(chunk.payload).to_pylist()):
            raw = orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS)
            yield Record(chunk.line + number, raw, value)

    @contextlib.contextmanager
    def splitter(self, paths: Sequence[Path]) -> Iterator[ColumnsSplitter]:
        """Open Parquet files of the same schema."""
        import pyarrow.parquet as parquet

        schema = self.schema()
        with contextlib.ExitStack() as stack:
            handles = [stack.enter_context(atomic_writer(path)) for path in paths]
            writers = [stack.enter_context(parquet.ParquetWriter(handle, schema)) for handle in handles]
            yield ColumnsSplitter(writers)

    def schema(self) -> Any:
        """The Arrow schema of the first file."""
        with _opened(self.parts[0]) as reader:
            return reader.schema_arrow if hasattr(reader, "schema_arrow") else reader.schema

    def _batches(self) -> Iterator[Any]:
        schema = self.schema()
        for part in self.parts:
            with _opened(part) as reader:
                own = reader.schema_arrow if hasattr(reader, "schema_arrow") else reader.schema
                if not own.equals(schema):
                    raise InputError(
                        f"its columns differ from those of {self.parts[0].name}",
                        path=part,
                        fix="screen files of different columns one by one",
                    )
                batches = (
                    reader.iter_batches(batch_size=_ROWS)
                    if hasattr(reader, "iter_batches")
                    else _each(reader)
                )
                try:
                    yield from batches
                except (OSError, ValueError) as error:
                    raise InputError(f"damaged data: {error}", path=part) from error


class ColumnsSplitter:
    """Writes rows to one of several Parquet files."""

    def __init__(self, writers: Sequence[Any]) -> None:
        self._writers = writers

    def add(self, chunk: Chunk, targets: Sequence[int]) -> None:
        """Write the rows of a chunk to the files that `targets` names by row."""
        import numpy as np
        import pyarrow as pa

        batch = _from_bytes(chunk.payload)
        here = np.frombuffer(bytes(targets[chunk.line : chunk.next_line]), dtype=np.uint8)
        for number, writer in enumerate(self._writers):
            chosen = here == number
            if chosen.any():
                writer.write_batch(batch.filter(pa.array(chosen)))


def open_columns(path: Path, parts: Sequence[Path]) -> ColumnsFile:
    """Open Parquet or Arrow files as one.

    Raises:
        InputError: pyarrow is missing, or a file is damaged.
    """
    rows = 0
    for part in parts:
        with _opened(part) as reader:
            if hasattr(reader, "metadata"):
                rows += reader.metadata.num_rows
            else:
                rows += sum(batch.num_rows for batch in _each(reader))
    return ColumnsFile(path, tuple(parts), rows)


def folder_parts(folder: Path) -> list[Path]:
    """The data files of a Hugging Face `save_to_disk` folder or of a folder of Parquet files.

    Raises:
        InputError: There are none, or there are several splits.
    """
    if (folder / "dataset_dict.json").is_file():
        names = sorted(p.name for p in folder.iterdir() if (p / "state.json").is_file())
        if len(names) != 1:
            raise InputError(
                f"the data folder has the splits {', '.join(names) or '(none)'}",
                path=folder,
                fix=f"name one of them, for example {folder / (names[0] if names else 'train')}",
            )
        folder = folder / names[0]
    if (folder / "state.json").is_file():
        state = orjson.loads((folder / "state.json").read_bytes())
        return [folder / item["filename"] for item in state["_data_files"]]
    found = sorted(p for p in folder.rglob("*") if p.suffix in (".parquet", ".arrow") and p.is_file())
    splits = {p.stem.split("-")[0] for p in found}
    if not found:
        raise InputError(
            "a folder without Parquet or Arrow files",
            path=folder,
            fix="name the data file, or a datasets folder",
        )
    if len(splits & {"train", "test", "validation"}) > 1:
        raise InputError(
            f"the data folder has the splits {', '.join(sorted(splits))}",
            path=folder,
            fix="name one split's file",
        )
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A Parquet file, an Arrow file or an Arrow stream, whichever it is."""
    try:
        import pyarrow as pa
        import pyarrow.ipc as ipc
        import pyarrow.parquet as parquet
    except ImportError:
        raise missing_extra("scale", "pyarrow") from None
    try:
        with path.open("rb") as handle:
            magic = handle.read(6)
        if magic[:4] == b"PAR1":
            reader = parquet.ParquetFile(path, memory_map=True)
        else:
            source = pa.memory_map(str(path))
            reader = ipc.open_file(source) if magic == b"ARROW1" else ipc.open_stream(source)
    except FileNotFoundError:
        raise InputError("no such file", path=path) from None
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"not a readable Parquet or Arrow file: {error}", path=path) from error
    with reader:
        yield reader


def _each(reader: Any) -> Iterator[Any]:
    if hasattr(reader, "num_record_batches"):
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)
    else:
        yield from reader


def _to_bytes(batch: Any) -> bytes:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    data: bytes = sink.getvalue().to_pybytes()
    return data


def _from_bytes(data: bytes) -> Any:
    import pyarrow as pa

    return pa.ipc.open_stream(data).read_next_batch()
