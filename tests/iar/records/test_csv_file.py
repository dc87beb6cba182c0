"""Tables on disk: the bytes of pandas where nothing is hostile, and no formula where something is."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from iar.records import csv_file


def test_a_table_is_written_as_pandas_writes_it(tmp_path):
    columns = {"configuration": ["none", "iar-l9"], "value": [0.1234567, math.nan], "n": [3, -4], "low": [-1.5, 1e-9]}
    table = pd.DataFrame(columns)
    file = csv_file.write(tmp_path / "scores.csv", table, "%.6f")
    assert file.read_text() == table.to_csv(index=False, float_format="%.6f") == csv_file.text(table)
    assert file.read_text().splitlines()[2] == "iar-l9,,-4,0.000000"
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]


@pytest.mark.parametrize(
    "name", ["=1+1", "+49", "-x", "@SUM(A1)", "\tx", "\rx", "＝1", "'=1", "''-", "NA", "null", "1.5"]
)
def test_names_are_no_formulas_and_come_back(tmp_path, name):
    table = pd.DataFrame({"model": [name, None], "value": [-1.0, 2.0], "@column": ["a", "b"]})
    file = csv_file.write(tmp_path / "t.csv", table)
    cells = file.read_text().splitlines()[1].split(",")
    assert cells[0].strip('"')[0] not in "=+-@\t\r＝" and cells[1] == "-1.000000"
    found = csv_file.read(file, texts=["model"])
    assert found["model"][0] == name.replace("\r", "\ufffd") and pd.isna(found["model"][1])
    assert list(found.columns) == ["model", "value", "@column"] and found["value"].tolist() == [-1.0, 2.0]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b'"', b"value\n1\nabc\n", b"\0,\0\n"])
def test_what_is_no_table_is_a_value_error(tmp_path, content):
    (tmp_path / "t.csv").write_bytes(content)
    try:
        csv_file.read(tmp_path / "t.csv")
    except ValueError:
        return
    assert content in (b"\0,\0\n",)


def test_a_column_of_numbers_holds_no_text(tmp_path):
    (tmp_path / "t.csv").write_text("configuration,value\nnone,=1+1\n")
    with pytest.raises(ValueError, match="column value holds text"):
        csv_file.read(tmp_path / "t.csv")
