"""Reading public prompt sets from disk or from the Hugging Face hub."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from holdfast.conversation import chat
from holdfast.errors import InputError, missing_extra
from holdfast.files import digest_value
from holdfast.hazards import HAZARDS
from holdfast.suites.base import Suite, SuitePrompt
from holdfast.suites.catalogue import PublicSet
from holdfast.suites.table import Row, read_rows


def load_public(public: PublicSet, path: str | Path | None) -> Suite:
    """Read a public set from a file or folder; None fetches it from the hub.

    Exact repetitions are dropped, and so are rows that the set's `keep` excludes. The suite's
    version is the hub revision, or a digest of the files.

    Raises:
        InputError: The files are not those of this set, or the hub does not hand them out.
    """
    folder = Path(path).expanduser() if path is not None else _fetch(public)
    files = _files(public, folder)
    prompts: dict[tuple[str, str], SuitePrompt] = {}
    for file in files:
        for line, row in read_rows(file, header=public.header):
            if public.keep(row):
                for prompt in _prompts(public, row, file, line):
                    prompts.setdefault((prompt.messages[0].content, prompt.axis), prompt)
    if not prompts:
        raise InputError(f"no prompts of {public.title} in here", path=folder)
    kept = _with_unique_ids(list(prompts.values()))
    version = (
        folder.name if path is None else digest_value([[p.id, p.messages[0].content] for p in kept])[:12]
    )
    return Suite(public.key, version, tuple(kept), public.licence)


def _fetch(public: PublicSet) -> Path:
    if not public.hub:
        raise InputError(f"{public.title} is not on the hub", fix=f"download it and name {public.key}:PATH")
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
    except ImportError:
        raise missing_extra("train", "huggingface_hub") from None
    patterns = ["*.csv", "*.jsonl", "*.json", "*.parquet"]
    try:
        return Path(snapshot_download(public.hub, repo_type="dataset", allow_patterns=patterns))
    except LocalEntryNotFoundError:
        raise InputError(
            f"{public.hub} is not on this machine and the hub cannot be reached",
            fix=f"go online, unset HF_HUB_OFFLINE, or name {public.key}:PATH",
        ) from None
    except (HfHubHTTPError, OSError) as error:
        raise InputError(
            f"the hub does not hand out {public.hub}: {str(error).splitlines()[0]}",
            fix="accept the data set's terms on the hub and set HF_TOKEN",
        ) from None


def _files(public: PublicSet, folder: Path) -> list[Path]:
    if folder.is_file():
        return [folder]
    if not folder.is_dir():
        raise InputError("no such file or folder", path=folder)
    for pattern in public.files:
        found = sorted(folder.glob(pattern))
        if found:
            return found
    raise InputError(
        f"no file of {public.title} in this folder", path=folder, fix=f"it has {', '.join(public.files)}"
    )


def _prompts(public: PublicSet, row: Row, file: Path, line: int) -> Iterator[SuitePrompt]:
    pair = _first(row, public.pair)
    benign = public.benign(row, file.name)
    for language, text in _texts(public, row, file, line):
        name = _first(row, public.id) or (pair if public.languages else "")
        name = "-".join(part for part in (name, language) if part)
        yield SuitePrompt(
            id=name or digest_value(text)[:12],
            messages=chat(("user", text)),
            axis="over_refusal" if benign else "harm",
            expect="comply" if benign else "refuse",
            hazard=_hazard(public, row, file),
            cluster=f"{public.key}-{pair}" if pair else "",
        )


def _texts(public: PublicSet, row: Row, file: Path, line: int) -> Iterator[tuple[str, str]]:
    if public.languages:
        texts = [(language, _text(row.get(language))) for language in public.languages]
    else:
        context = _first(row, public.context)
        text = _first(row, public.prompt)
        texts = [("", f"{context}\n\n---\n\n{text}" if context and text else text)]
    found = [(language, text) for language, text in texts if text]
    if not found:
        columns = ", ".join(public.languages or public.prompt)
        raise InputError(
            f"not a row of {public.title}: none of the columns {columns} has text",
            path=file,
            line=line,
            fix="check that this is the right file",
        )
    yield from found


def _hazard(public: PublicSet, row: Row, file: Path) -> str:
    numbered = re.fullmatch(r"category_(\d+)", file.stem)
    if numbered and public.header is not None:  # HEx-PHI numbers its files as the policy does
        return HAZARDS[int(numbered[1]) - 1].key if 1 <= int(numbered[1]) <= len(HAZARDS) else ""
    category = _first(row, public.category)
    return public.hazards.get(category, category)


def _first(row: Row, columns: Sequence[str]) -> str:
    return next((text for column in columns if (text := _text(row.get(column)))), "")


def _text(value: Any) -> str:
    if isinstance(value, list):
        value = value[0] if value else ""
    if value is None:
        return ""
    text = str(value).strip()
    # Lists that a CSV writer turned into text: "['Weapons', 'Theft']" is named by its first entry.
    listed = re.fullmatch(r"\[['\"](.*?)['\"](?:, .*)?\]", text)
    return listed[1] if listed else text


def _with_unique_ids(prompts: list[SuitePrompt]) -> list[SuitePrompt]:
    seen: dict[str, int] = {}
    kept = []
    for prompt in prompts:
        seen[prompt.id] = count = seen.get(prompt.id, 0) + 1
        kept.append(prompt if count == 1 else replace(prompt, id=f"{prompt.id}-{count}"))
    return kept
