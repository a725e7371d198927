import pytest
from pydantic import BaseModel, ConfigDict

from holdfast.errors import InputError
from holdfast.yamlfile import load_yaml, parse_yaml


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")
    margin: float = 0.1


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str
    inner: Inner | None = None
    many: list[Inner] = []
    table: dict[str, Inner] = {}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("name: a\ninner:\n  margn: 3\n", 3, ["inner.margn", "did you mean 'margin'?"]),
        ("name: a\ntable:\n  harm:\n    margi: 1\n", 4, ["table.harm.margi", "'margin'"]),
        ("name: a\nmany:\n  - marginn: 1\n", 3, ["many.0.marginn", "'margin'"]),
        ("name: a\nmany:\n  - margin: x\n", 3, ["many.0.margin", "number", "'x'"]),
        ("name: a\nname: b\n", 2, ["given twice"]),
        ("inner: 3\nname: a\n", 1, ["inner"]),
        ("name: a\nwhich: 2\n", 2, ["known keys here: name, inner, many, table"]),
        ("name: [1\n", 2, ["not valid YAML"]),
        ("- 1\n", 1, ["key: value"]),
        ("{}", 1, ["missing key 'name'"]),
    ],
)
def test_errors_name_line_and_fix(text: str, line: int, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        parse_yaml(text, Outer, path="holdfast.yaml")
    assert caught.value.line == line
    assert str(caught.value).startswith(f"holdfast.yaml:{line}: ")
    for word in words:
        assert word in str(caught.value)


def test_good_file(tmp_path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: x\ntable: {harm: {margin: 0.05}}\n")
    assert load_yaml(path, Outer).table["harm"].margin == 0.05


def test_missing_file_and_folder(tmp_path) -> None:
    with pytest.raises(InputError, match="no such file"):
        load_yaml(tmp_path / "none.yaml", Outer)
    with pytest.raises(InputError, match="folder"):
        load_yaml(tmp_path, Outer)
