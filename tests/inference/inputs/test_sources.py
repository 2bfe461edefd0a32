"""Lists and folders: which sources they have."""

import io
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from mien.errors import MienError
from mien.inference.inputs.listing import listed_paths
from mien.inference.inputs.sources import Source, find_sources


def paths(content: bytes) -> list[str]:
    return list(listed_paths(io.BytesIO(content)))


@pytest.mark.parametrize(
    "content",
    [
        b"a.jpg\nb c.jpg\n",
        b"a.jpg\r\nb c.jpg",
        b"\n\na.jpg\n\nb c.jpg\n",
        b"a.jpg\0b c.jpg\0",
        b"\xef\xbb\xbfa.jpg\r\nb c.jpg\r\n",
        "a.jpg\r\nb c.jpg\r\n".encode("utf-16"),
        "\ufeffa.jpg\nb c.jpg".encode("utf-16-be"),
        "a.jpg\r\nb c.jpg\r\n".encode("utf-16-le"),
        "a.jpg\nb c.jpg\n".encode("utf-16-be"),
    ],
)
def test_lists_of_all_programs_name_the_same_paths(content: bytes) -> None:
    assert paths(content) == ["a.jpg", "b c.jpg"]


def test_names_in_a_list_parted_by_nulls_may_have_line_ends() -> None:
    assert paths(b"a\nb.jpg\0\xff.jpg\0") == ["a\nb.jpg", os.fsdecode(b"\xff.jpg")]
    assert paths(b"") == paths(b"\n\n") == paths(b"\0") == []


def test_paths_come_before_the_list_ends() -> None:
    class Slow(io.BytesIO):
        def read1(self, _: int | None = -1) -> bytes:
            return self.readline()

    stream = Slow(b"a.jpg\nb.jpg\n")
    assert next(listed_paths(stream)) == "a.jpg"
    assert stream.tell() == len(b"a.jpg\n")


def found(inputs: Iterable[Path | str], **options: bool) -> list[Source]:
    return list(find_sources(inputs, **options))


def test_a_null_in_a_path_is_a_source_like_any_other() -> None:
    assert list(find_sources(["-"], ["a\0b.jpg"])) == [Source("a\0b.jpg")]


def test_a_list_from_windows_finds_its_files(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    for name in ("a/b.png", "c\\d.png"):
        (tmp_path / name).touch()
    listed = find_sources(["-"], ["a\\b.png", "c\\d.png", "x\\y.png"])
    assert [source.path for source in listed] == ["a/b.png", "c\\d.png", "x\\y.png"]


def test_linked_folders_are_searched_once(tmp_path: Path) -> None:
    album, other = tmp_path / "album", tmp_path / "other"
    for folder in (album / "inner", other / "deep"):
        folder.mkdir(parents=True)
        (folder / "a.png").touch()
    for link, target in {"up": "..", "here": ".", "inner2": "inner", "z": "../other"}.items():
        (album / link).symlink_to(target)
    (album / "z2").symlink_to("../other/deep")
    (other / "back").symlink_to("../album")
    (album / "gone").symlink_to("nowhere")
    assert [source.path for source in found([album])] == [
        str(album / "inner/a.png"),
        str(album / "z/deep/a.png"),
    ]


def test_photos_that_cannot_be_read_here_are_sources(tmp_path: Path) -> None:
    for name in ("a.HEIC", "b.dng", "c.jxl", "d.txt", "e.mts", "f.flv", "g.ts"):
        (tmp_path / name).touch()
    (tmp_path / "e.mts").write_bytes((b"\x47" + bytes(187)) * 4)
    names = [Path(source.path).name for source in found([tmp_path])]
    assert names == ["a.HEIC", "b.dng", "c.jxl"]
    sources = found([tmp_path], videos=True)
    assert [Path(source.path).name for source in sources if source.video] == ["e.mts", "f.flv"]


def test_lists_in_files_come_after_the_inputs(tmp_path: Path) -> None:
    first, second = tmp_path / "first.txt", tmp_path / "second"
    first.write_bytes("\ufeffa.jpg\r\nb.jpg\r\n".encode("utf-16-le"))
    second.write_bytes(b"c.jpg\0d\n.jpg\0")
    sources = find_sources(["z.jpg"], lists=[first, second])
    assert [source.path for source in sources] == ["z.jpg", "a.jpg", "b.jpg", "c.jpg", "d\n.jpg"]


def test_an_empty_list_is_a_source_with_a_fault_and_a_missing_one_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    [source] = find_sources([], lists=[tmp_path / "empty"])
    assert source.path == str(tmp_path / "empty") and "got nothing" in source.fault
    with pytest.raises(MienError, match=r"expected a list of paths in .*none.txt"):
        list(find_sources([], lists=[tmp_path / "none.txt"]))


@pytest.mark.parametrize("address", ["https://example.org/a.jpg", "file:///a.jpg", "S3://b/c"])
def test_addresses_are_not_fetched(address: str) -> None:
    [source] = find_sources(["-"], [address])
    assert source.path == address and "mien fetches nothing" in source.fault


def test_a_path_that_looks_like_an_address_is_a_path(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:").mkdir()
    (tmp_path / "http:" / "a.jpg").touch()
    assert list(find_sources(["http://a.jpg"])) == [Source("http://a.jpg")]
