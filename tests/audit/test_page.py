"""The report in a browser: phone and desk, light and dark, harmful text hidden until asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from audit.audit_fakes import FakeModel, WordJudge, broken, good, suite
from review.browsing import DESK, PHONE, axe, chromium

from holdfast.audit import Policy, audit


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("page")
    audit(
        FakeModel(good, "base"),
        FakeModel(broken(0.12), "tuned <script>alert(1)</script>"),
        policy=Policy.model_validate({"probes": ["default", "identity_shift"], "noise_floor": 20}),
        suites=[suite()],
        judges=[WordJudge()],
        out=folder,
    )
    return folder / "audit.html"


def test_names_are_escaped_and_nothing_is_loaded(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert "<script>alert(1)" not in text
    assert 'src="' not in text and "<link" not in text
    assert len(text) < 300_000


def test_the_verdict_names_what_speaks_against_a_pass(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    verdict = text[text.index('class="card verdict') : text.index("<h2>The axes")]
    assert "regression shown: 0.0\u00a0% → 12.0\u00a0%" in verdict
    assert "Within the margin: over-refusal (at most" in verdict and verdict.count("<li>") <= 4


@pytest.mark.browser
@pytest.mark.slow
def test_page_on_phone_and_desk(page: Path) -> None:
    with chromium() as browser:
        for size, scheme in ((PHONE, "dark"), (DESK, "light")):
            tab = browser.new_page(viewport=size, color_scheme=scheme)
            asked: list[str] = []
            tab.on("request", lambda request, asked=asked: asked.append(request.url))
            tab.goto(page.as_uri())
            assert asked == [page.as_uri()]
            assert tab.evaluate("document.documentElement.scrollWidth") <= size["width"]
            assert tab.locator(".verdict .tag").first.inner_text() == "fail"
            assert axe(tab) == []
            flip = tab.locator("details.flip").first
            flip.locator("summary").click()
            veil = flip.locator("pre.veil")
            assert "blur" in veil.evaluate("e => getComputedStyle(e).filter")
            veil.click()
            assert veil.evaluate("e => getComputedStyle(e).filter") == "none"
            tab.locator("input[data-filter]").fill("no such words")
            assert not flip.is_visible()
            tab.close()
