"""Reading tables: every format gives the same rows, damage gives one clear line, no row is quoted."""

import gzip
import io
import zipfile
from pathlib import Path

import pytest
from made_up_sets import to_csv, to_gz, to_jsonl, to_parquet, to_zip

from longcat_eval.errors import EnvironmentUnusableError
from longcat_eval.tasks.data_files import first_matches, list_files, read_files, read_rows

ROWS = [
    {"question": 'Is "1,5" a number?', "answer": "是"},
    {"question": "two\nlines", "answer": "é"},
]
ENCODERS = {"csv": to_csv, "jsonl": to_jsonl, "parquet": to_parquet}


@pytest.mark.parametrize("form", ENCODERS)
def test_every_format_plain_gzipped_and_zipped_gives_the_same_rows(form: str, tmp_path: Path) -> None:
    content = ENCODERS[form](ROWS)
    (tmp_path / f"plain.{form}").write_bytes(content)
    (tmp_path / f"packed.{form}.gz").write_bytes(to_gz(content))
    (tmp_path / "all.zip").write_bytes(to_zip({f"in/x.{form}": content, f"in/y.{form}.gz": to_gz(content)}))
    names = list(list_files(tmp_path))
    assert names == [f"all.zip/in/x.{form}", f"all.zip/in/y.{form}.gz", f"packed.{form}.gz", f"plain.{form}"]
    assert list(read_files(tmp_path, names)) == [(name, ROWS) for name in names]


def test_json_is_a_list_of_objects() -> None:
    assert read_rows(b'[{"a": 1}]', "x.json") == [{"a": 1}]
    with pytest.raises(EnvironmentUnusableError, match=r"x\.json is not a list of objects"):
        read_rows(b'{"a": 1}', "x.json")


def test_a_csv_without_header_takes_the_given_columns_and_a_mark_at_its_start_is_no_text() -> None:
    assert read_rows(b"\xef\xbb\xbf1,2\n\n3,4\n", "x.csv", ("a", "b")) == [
        {"a": "1", "b": "2"},
        {"a": "3", "b": "4"},
    ]


@pytest.mark.parametrize(
    ("content", "name", "problem"),
    [
        (b"a,b\n1,UNSPREADABLE,3\n", "x.csv", "not every row has the 2 columns"),
        (b"a\n\xff\n", "x.csv", r"damaged \(UnicodeDecodeError\)"),
        (b'{"a": "UNSPREADABLE', "x.jsonl", "damaged"),
        (b"UNSPREADABLE", "x.parquet", "damaged"),
        (gzip.compress(b"a,b\n" * 99, mtime=0)[:-12], "x.csv.gz", "damaged"),
        (b"UNSPREADABLE", "x.csv.gz", "damaged"),
        (b"UNSPREADABLE", "x.xlsx", "not one of csv"),
    ],
)
def test_damage_is_one_line_that_names_the_file_and_quotes_nothing(
    content: bytes, name: str, problem: str
) -> None:
    with pytest.raises(EnvironmentUnusableError, match=problem) as caught:
        read_rows(content, name)
    assert name.removesuffix(".gz") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "UNSPREADABLE" not in str(caught.value)


def test_a_missing_file_and_a_damaged_archive_are_named(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentUnusableError, match=r"cannot read x\.csv: No such file"):
        read_rows(tmp_path / "x.csv", "x.csv")
    (tmp_path / "a.zip").write_bytes(b"PK\x03\x04 cut")
    with pytest.raises(EnvironmentUnusableError, match=r"a\.zip is not a readable zip"):
        list(list_files(tmp_path))


def test_a_damaged_member_is_named(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("x.csv", "a\nUNSPREADABLE\n")
    (tmp_path / "a.zip").write_bytes(out.getvalue().replace(b"UNSPREADABLE", b"UNSPREADABLY"))
    with pytest.raises(EnvironmentUnusableError, match=r"a\.zip/x\.csv is damaged"):
        list(read_files(tmp_path, ["a.zip/x.csv"]))


def test_the_first_pattern_and_format_that_match_anything_decide() -> None:
    names = ["dev/a_dev.csv", "test/a_test.csv", "test/b_test.csv.gz", "test/c_test.jsonl", "README.md"]
    assert first_matches(names, ("*nothing*", "*test/*_test", "*")) == names[1:3]
    assert first_matches(names, ("*.jsonl",)) == ["test/c_test.jsonl"]
    assert first_matches(names, ("nothing",)) == []
    assert first_matches(["__MACOSX/test/a_test.csv"], ("*",)) == []
