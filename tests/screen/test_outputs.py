"""What a screening leaves behind: rows byte for byte, JSON, SARIF, HTML, and the command line."""

from __future__ import annotations

import base64
import gzip
import json
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from screen.sarif_schema import LOG
from screen.screen_rows import OBEY, write_rows

from holdfast.conversation import Conversation, chat
from holdfast.errors import InputError
from holdfast.formats import open_file
from holdfast.screen import Finding, ScreenConfig, ScreenReport, Severity, Verdict, screen
from holdfast.screen.html_page import _row
from holdfast.screen.sarif import sarif
from holdfast.screen.text import _places

Command = Callable[..., subprocess.CompletedProcess[str]]
PARTS = ("clean", "review", "quarantine")
FAST = ScreenConfig(select=("ID", "FM"))
BAD = orjson.dumps({"messages": [{"role": "system", "content": OBEY}, {"role": "user", "content": "a"}]})
GOOD = b'{"messages": [{"role":"user","content":"Two plus two?"},{"role":"assistant","content":"Four."}]}'


def mixed_file(path: Path) -> Path:
    """Good rows, bad rows, rows no reader can make sense of, blank lines, odd endings."""
    lines = [GOOD, BAD, b"", b"{broken", GOOD + b"  ", b'{"title": 1}', b"caf\xe9", GOOD + b"\r", BAD, GOOD]
    path.write_bytes(b"\n".join(lines))
    return path


def test_rows_are_split_byte_for_byte(tmp_path: Path) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    report = screen(path, config=FAST, out=tmp_path / "o")
    parts = {name: (tmp_path / "o" / f"{name}.jsonl").read_bytes() for name in PARTS}
    assert parts["clean"] == GOOD + b"\n\n" + GOOD + b"  \n" + GOOD + b"\r\n" + GOOD
    assert parts["quarantine"] == b"\n".join([BAD, b"{broken", b'{"title": 1}', b"caf\xe9", BAD, b""])
    assert sorted(b"".join(parts.values())) == sorted(path.read_bytes())
    assert report.rows == 9 == sum(report.verdicts.values())
    assert report.verdicts == {Verdict.KEEP: 4, Verdict.REVIEW: 0, Verdict.BLOCK: 5}
    assert [line for line, _ in report.flagged()] == [2, 4, 6, 7, 9]
    assert {f.code for f in report.by_line[7]} == {"FM003"}


LINES = st.sampled_from([GOOD, BAD, b"", b"{", b"\xff", b"x" * 50, GOOD + b"\r"])


@given(st.lists(LINES, min_size=1, max_size=30))
@settings(max_examples=30, deadline=None)
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    folder = tmp_path_factory.mktemp("n")
    data = b"\n".join([*lines, GOOD])
    (folder / "d.jsonl").write_bytes(data)
    report = screen(folder / "d.jsonl", config=FAST, out=folder / "o")
    parts = [(folder / "o" / f"{name}.jsonl").read_bytes() for name in PARTS]
    file = open_file(folder / "d.jsonl")
    rows = [record.raw for chunk in file.chunks(99) for record in file.records(chunk)]
    assert sum(len(p) for p in parts) == len(data)
    assert report.rows == len(rows) == sum(report.verdicts.values())
    kept = [line for line in parts[0].split(b"\n") if line.strip()]
    assert kept == [line for line in data.split(b"\n") if line.strip() and line.rstrip(b"\r") == GOOD]


def test_json_keeps_its_contract(tmp_path: Path, holdfast: Command) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    done = holdfast("screen", path, "--json", "--select", "ID,FM")
    assert done.returncode == 1 and done.stderr == ""
    data = json.loads(done.stdout)
    assert data["schema"] == 1 and data["rows"] == 9
    assert data["verdicts"] == {"keep": 4, "review": 0, "block": 5}
    assert data["flagged_lines"] == {str(n): "block" for n in (2, 4, 6, 7, 9)}
    finding = next(f for f in data["findings"] if f["code"] == "ID201")
    fields = "line code severity score reason message span decoded coverage"
    assert set(finding) >= set(fields.split())
    assert finding["line"] == 2 and finding["severity"] == "block" and finding["message"] == 0
    start, end = finding["span"]
    assert OBEY[start:end].startswith(finding["evidence"])
    assert isinstance(data["file_findings"], list)


def test_sarif_is_valid_and_points_at_lines(tmp_path: Path, plugin: Path) -> None:
    path = mixed_file(tmp_path / "d with space.jsonl")
    report = screen(path, config=ScreenConfig(select=("ID", "FM", "ZZ003", "ZZ001")), out=tmp_path / "o")
    log = json.loads((tmp_path / "o" / "screen.sarif").read_text())
    jsonschema.Draft202012Validator(LOG, format_checker=jsonschema.FormatChecker()).validate(log)
    run = log["runs"][0]
    assert len(run["results"]) == len(report.findings) + len(report.file_findings)
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
    lines = [r["locations"][0]["physicalLocation"].get("region", {}).get("startLine") for r in run["results"]]
    assert lines[: len(report.findings)] == [f.line for f in report.findings]
    prints = [r["partialFingerprints"]["holdfast/v1"] for r in run["results"]]
    assert len(set(prints)) == len(prints)
    whole = next(r for r in run["results"] if r["ruleId"] == "ZZ003")
    related = [r["physicalLocation"]["region"]["startLine"] for r in whole["relatedLocations"]]
    assert related == [1, 2, 5, 8, 9, 10]
    assert "d%20with%20space.jsonl" in run["artifacts"][0]["location"]["uri"]


def test_sarif_schema_can_fail() -> None:
    log = sarif(screen([Conversation(chat(("user", "a")))], config=FAST))
    validator = jsonschema.Draft202012Validator(LOG)
    validator.validate(log)
    log["runs"][0]["results"] = [{"ruleId": "X", "level": "grave"}]
    assert len(list(validator.iter_errors(log))) == 2


def test_sarif_fits_models_made_from_the_official_schema(tmp_path: Path, plugin: Path) -> None:
    """`pydantic-sarif` is generated from the OASIS schema of SARIF 2.1.0; it refuses unknown fields."""
    model = pytest.importorskip("pydantic_sarif.model", reason="needs pydantic-sarif (the dev extra)")
    log_model = model.StaticAnalysisResultsFormatSarifVersion210JsonSchema
    log = sarif(screen(mixed_file(tmp_path / "d.jsonl"), config=ScreenConfig(select=("ID", "FM", "ZZ003"))))
    assert len(log_model.model_validate(log).runs[0].results) == len(log["runs"][0]["results"]) > 5
    log["runs"][0]["results"][0]["levle"] = "error"
    with pytest.raises(ValueError, match="levle"):
        log_model.model_validate(log)


def test_page_is_one_file_and_hides_harmful_text(tmp_path: Path) -> None:
    from holdfast.screen.html_page import page

    secret = "harmful words <script>alert(1)</script>"
    findings = (
        Finding("HC101", Severity.BLOCK, 0.9, "harmful answer", 3, 1, (0, 9), secret, evidence=secret),
        Finding(
            "EN101",
            Severity.BLOCK,
            0.9,
            "base64",
            4,
            1,
            (0, 9),
            "decoded <b>view</b>",
            0.5,
            evidence="aGFybQ",
        ),
    )
    report = ScreenReport(
        "d.jsonl",
        5,
        findings,
        (),
        {Verdict.KEEP: 3, Verdict.REVIEW: 0, Verdict.BLOCK: 2},
        {"HC101": 1, "EN101": 1},
        targets=bytes([0, 0, 0, 2, 2, 0]),
    )
    html = page(report)
    assert "harmful words" not in html and "decoded &lt;b&gt;view" in html and "aGFybQ" in html
    assert "50 % of the row was looked at" in html
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", html)
    assert secret not in json.dumps(report.to_json()) and "decoded <b>view" in json.dumps(report.to_json())


@pytest.mark.browser
@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(1200, "light"), (360, "dark")])
def test_page_fits_the_window(tmp_path: Path, width: int, scheme: str) -> None:
    api = pytest.importorskip("playwright.sync_api")
    screen(mixed_file(tmp_path / "d.jsonl"), config=FAST, out=tmp_path / "o")
    with api.sync_playwright() as play:
        try:
            browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        except api.Error as error:
            pytest.skip(f"no Chromium: {error}")
        view = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        requests: list[str] = []
        view.on("request", lambda request: requests.append(request.url))
        view.goto((tmp_path / "o" / "screen.html").as_uri())
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        assert len(requests) == 1
        view.fill("input[data-filter]", "FM003")
        assert view.locator("#findings tbody tr:visible").count() == 1
        browser.close()


def test_text_is_a_linters(tmp_path: Path, holdfast: Command) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    done = holdfast("screen", path, "--select", "ID,FM")
    lines = done.stdout.splitlines()
    assert done.returncode == 1
    assert any(line.startswith(f"{path}:2: ID201 block: ") and "(“" in line for line in lines)
    assert any(line.startswith(f"{path}:4: FM001 block: broken JSON") for line in lines)
    assert "9 rows in" in done.stdout and "4 keep, 0 review, 5 block" in done.stdout


def test_clean_file_exits_with_zero(tmp_path: Path, holdfast: Command) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes(GOOD)
    done = holdfast("screen", path, "--out", tmp_path / "o")
    assert done.returncode == 0 and "no findings" in done.stdout
    assert (tmp_path / "o" / "clean.jsonl").read_bytes() == GOOD
    assert {path.name for path in (tmp_path / "o").iterdir()} == {
        *(f"{name}.jsonl" for name in (*PARTS, "findings")),
        *(f"screen.{ending}" for ending in ("json", "sarif", "html")),
        ".lock",
    }


def test_sarif_and_explain_on_the_command_line(tmp_path: Path, holdfast: Command) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    assert json.loads(holdfast("screen", path, "--format", "sarif").stdout)["version"] == "2.1.0"
    page = holdfast("screen", "--explain", "ID201")
    assert page.returncode == 0 and page.stdout.startswith("ID201 ") and "Passes:" in page.stdout
    listed = holdfast("screen", "--explain", "all").stdout
    assert all(f"{code}  " in listed for code in ("FM001", "ID201", "RS101", "EN101"))
    unknown = holdfast("screen", "--explain", "QQ1")
    assert unknown.returncode == 2 and "no rule has the code" in unknown.stderr


@pytest.mark.parametrize(
    ("yaml", "words"),
    [
        ("screen:\n  selct: [ID]\n", ":2: unknown key 'screen.selct' (fix: did you mean 'select'?)"),
        ("screen:\n  rules:\n    ID: {severity: fatal}\n", "'screen.rules.ID.severity'"),
        ("screen:\n  select: [QQ]\n", "no rule has the code 'QQ'"),
        ("screen: [", "not valid YAML"),
    ],
)
def test_bad_configuration_is_named(tmp_path: Path, holdfast: Command, yaml: str, words: str) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    (tmp_path / "h.yaml").write_text(yaml)
    done = holdfast("screen", path, "--config", tmp_path / "h.yaml")
    assert done.returncode == 2 and words in done.stderr and done.stderr.count("\n") == 1


def test_configuration_file_is_used(tmp_path: Path, holdfast: Command) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    (tmp_path / "h.yaml").write_text("model: x\nscreen:\n  ignore: [ID, FM]\n")
    assert holdfast("screen", path, "--config", tmp_path / "h.yaml").returncode == 0


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("d.jsonl", b"", "the file is empty"),
        ("d.jsonl", bytes(range(256)) * 9, "binary"),
        ("d.jsonl", '{"text": "a"}\n'.encode("utf-16"), "UTF-16"),
        ("d.jsonl.gz", b"\x1f\x8b\x08\x00xx", "nothing can be read"),
        ("d.csv", b"who,what\na,b\n", "none of its columns"),
        (None, b"", "no such file"),
    ],
)
def test_bad_files_are_one_line_and_exit_2(
    tmp_path: Path, holdfast: Command, name: str | None, content: bytes, words: str
) -> None:
    path = tmp_path / (name or "none.jsonl")
    if name:
        path.write_bytes(content)
    done = holdfast("screen", path, "--out", tmp_path / "o")
    assert done.returncode == 2 and words in done.stderr and str(path) in done.stderr
    assert done.stderr.count("\n") == 1 and done.stdout == ""


def test_huge_rows_and_answers(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    with path.open("wb") as handle:
        handle.write(GOOD + b"\n")
        handle.write(orjson.dumps({"prompt": "a", "completion": "word " * 2_000_000}) + b"\n")
        handle.write(b'{"text": "' + b"y" * (50 << 20) + b'"}\n')
        handle.write(BAD + b"\n")
    report = screen(path, config=FAST, out=tmp_path / "o", jobs=1)
    assert report.rows == 4 and report.verdict(2) is Verdict.KEEP
    assert [f.code for f in report.by_line[3]] == ["FM005"] and report.verdict(4) is Verdict.BLOCK
    assert (
        sum((tmp_path / "o" / f"{n}.jsonl").stat().st_size for n in ("clean", "quarantine"))
        == path.stat().st_size
    )


def test_truncated_gzip_is_screened_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "d.jsonl", 3000)
    packed = gzip.compress(path.read_bytes())
    (tmp_path / "cut.jsonl.gz").write_bytes(packed[: len(packed) // 2])
    report = screen(tmp_path / "cut.jsonl.gz", config=FAST, out=tmp_path / "o")
    assert 100 < report.rows < 3000 and report.counts["FM008"] == 1 and report.counts["ID201"] >= 1
    assert report.verdict(report.rows) is Verdict.BLOCK
    parts = [
        gzip.decompress((tmp_path / "o" / f"{n}.jsonl.gz").read_bytes()) for n in ("clean", "quarantine")
    ]
    assert path.read_bytes().startswith(parts[0][:1000]) and sum(map(len, parts)) > 1000


def test_output_folder_that_cannot_be_written(tmp_path: Path, holdfast: Command) -> None:
    path = mixed_file(tmp_path / "d.jsonl")
    done = holdfast("screen", path, "--out", path / "o")
    assert done.returncode == 4 and "cannot write" in done.stderr and done.stderr.count("\n") == 1


def on_small_disk(out: Path, options: str, script: str, *command: str) -> str:
    """What a shell script says that has `out` on a file system of its own and runs `"$@"`.

    A mount in a user namespace needs no rights and is gone with the process; skips where the
    system does not allow it.
    """
    out.mkdir()
    mount = f"mount -t tmpfs -o {options} none {out} || exit 77; cd {out}; "
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", mount + script, "sh", *command],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode in (77, 1) and ("mount" in done.stderr or "unshare" in done.stderr):
        pytest.skip(f"no mount in a namespace here: {done.stderr.strip()}")
    return done.stdout


RUN = (sys.executable, "-c", "from holdfast.cli.app import main; main()", "screen")


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_read_only_folder_is_said_in_one_line(tmp_path: Path) -> None:
    path, out = mixed_file(tmp_path / "d.jsonl"), tmp_path / "o"
    said = on_small_disk(out, "ro", '"$@" 2>&1; echo rc=$?; ls -A', *RUN, str(path), "--out", str(out))
    lines = said.splitlines()
    assert "cannot write" in lines[-2] and lines[-1] == "rc=4" and len(lines) == 2


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare (util-linux)")
def test_full_disk_leaves_no_half_file_and_the_run_goes_on_with_room(tmp_path: Path) -> None:
    path, out = write_rows(tmp_path / "d.jsonl", 12_000), tmp_path / "o"
    said = on_small_disk(
        out,
        "size=1m",
        '"$@" 2>&1 >/dev/null; echo rc=$?; ls -A; mount -o remount,size=64m none .; '
        '"$@" >/dev/null 2>&1; echo rc=$?; cat clean.jsonl review.jsonl quarantine.jsonl | wc -c',
        *RUN, str(path), "--out", str(out), "--select", "ID",
    )  # fmt: skip
    error, first, *left, second, size = said.splitlines()
    assert "cannot write" in error and first == "rc=4"
    assert not any(name.startswith((".clean", "clean", "review", "quarantine")) for name in left)
    assert second == "rc=1" and int(size) == path.stat().st_size > 1 << 20


def test_limit_on_file_sizes_leaves_no_half_file(tmp_path: Path) -> None:
    path = write_rows(tmp_path / "d.jsonl", 3000)
    out = tmp_path / "o"

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    command = [*RUN, str(path), "--out", str(out), "--select", "ID"]
    full = subprocess.run(command, capture_output=True, text=True, preexec_fn=limit, check=False)
    assert full.returncode == 4 and "cannot write" in full.stderr and full.stderr.count("\n") == 1
    assert not list(out.glob("*.jsonl")) and not list(out.glob(".clean*"))


def test_input_is_never_overwritten(tmp_path: Path) -> None:
    path = mixed_file(tmp_path / "clean.jsonl")
    with pytest.raises(InputError, match="would be overwritten"):
        screen(path, out=tmp_path)


def test_sarif_of_very_many_findings_keeps_the_gravest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("holdfast.screen.sarif._RESULTS", 3)
    grades = [Severity.NOTE, Severity.BLOCK, Severity.REVIEW, Severity.BLOCK, Severity.NOTE]
    found = tuple(Finding("ID201", grade, 1.0, "r", line) for line, grade in enumerate(grades, start=1))
    run = sarif(ScreenReport("d", 5, found, (), dict.fromkeys(Verdict, 0), {}))["runs"][0]
    assert [r["level"] for r in run["results"]] == ["error", "warning", "error"]
    assert run["properties"]["findingsLeftOut"] == 2


def test_broken_pipe_is_quiet(tmp_path: Path) -> None:
    path = tmp_path / "d.jsonl"
    path.write_bytes((BAD + b"\n") * 3000)
    code = "from holdfast.cli.app import main; main()"
    shell = f"{sys.executable} -c '{code}' screen {path} --select ID | head -1"
    done = subprocess.run(shell, shell=True, capture_output=True, text=True, check=False)
    assert done.stdout.count("\n") == 1 and "Traceback" not in done.stderr


def test_evidence_of_encoded_rows_is_decoded(tmp_path: Path) -> None:
    payload = base64.b64encode(OBEY.encode()).decode()
    rows = [Conversation(chat(("user", f"Read this: {payload}"), ("assistant", "Done.")))]
    report = screen(rows, config=ScreenConfig(select=("EN",)))
    assert any(f.decoded and "obey every" in f.decoded for f in report.findings)


def test_rows_beyond_the_listed_lines_are_counted() -> None:
    finding = Finding("BD101", Severity.BLOCK, 0.9, "a trigger", 0, lines=(1, 2, 3), rows=9000)
    assert _row(finding)["lines"] == "1, 2, 3 and 8,997 more"
    assert _places(finding) == "lines 1, 2, 3 and 8,997 more"
