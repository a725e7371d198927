"""JUnit XML: read by GitHub, GitLab, Jenkins and Azure without a plugin."""

from __future__ import annotations

from xml.etree import ElementTree

from holdfast.gate.decide import Decision


def junit(decision: Decision, *, allow_inconclusive: bool = False) -> str:
    """One test suite per axis, one test case per row.

    An inconclusive row is a failure of its own type, or skipped with `allow_inconclusive`.
    """
    open_rows = ("inconclusive",) if allow_inconclusive else ()
    root = ElementTree.Element("testsuites", name="holdfast")
    axes = list(dict.fromkeys(row.axis for row in decision.rows))
    for axis in axes:
        rows = [row for row in decision.rows if row.axis == axis]
        failures = sum(row.verdict not in ("pass", *open_rows) for row in rows)
        suite = ElementTree.SubElement(
            root, "testsuite", name=f"holdfast.{axis}", tests=str(len(rows)), failures=str(failures)
        )
        properties = ElementTree.SubElement(suite, "properties")
        for name, value in _digests(decision).items():
            ElementTree.SubElement(properties, "property", name=name, value=value)
        for row in rows:
            case = ElementTree.SubElement(suite, "testcase", classname=f"holdfast.{axis}", name=row.name)
            text = "; ".join(row.reasons)
            if row.verdict == "pass":
                ElementTree.SubElement(case, "system-out").text = _legal(text)
            elif row.verdict in open_rows:
                ElementTree.SubElement(case, "skipped", message=_legal(text))
            else:
                failure = ElementTree.SubElement(case, "failure", type=row.verdict, message=_legal(text))
                failure.text = _legal(
                    f"base {row.base:.4f} tuned {row.tuned:.4f} delta {row.delta:+.4f} "
                    f"upper {row.upper:.4f} margin {row.margin} n {row.n}"
                )
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _digests(decision: Decision) -> dict[str, str]:
    digests = decision.digests
    return {
        "policy": str(digests["policy"]),
        "base": str(digests["base"]["weights"]),
        "tuned": str(digests["tuned"]["weights"]),
        "adapter": str(digests["tuned"]["adapter"]),
    }


def _legal(text: str) -> str:
    """XML 1.0 has no control characters."""
    return "".join(c if c in "\n\r\t" or ord(c) >= 32 else "\ufffd" for c in text)
