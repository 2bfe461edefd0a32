"""Tables that are made in several runs, or in several parts, equal those made in one."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.errors import MienError
from mien.inference.inputs.sources import Source
from mien.inference.inputs.watching import file_state
from mien.inference.model import OnnxModel, open_onnx
from mien.inference.pipeline import Summary, Watched, merge, write_predictions
from mien.inference.work.folder import Shard
from mien.inference.work.journal import Finished, Journal
from mien.schema import Face, UInt8Array

from ..conftest import OneFace, picture

PHOTOS = 12


@pytest.fixture(scope="module")
def model(model_file: Path) -> OnnxModel:
    return open_onnx(model_file, threads=1)


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Twelve photos: one without a face, one that cannot be read, two of a name."""
    folder = tmp_path / "album"
    (folder / "inner").mkdir(parents=True)
    for number in range(PHOTOS - 2):
        Image.fromarray(picture(number)).save(folder / f"{number}.png")
    Image.fromarray(np.zeros((60, 80, 3), np.uint8)).save(folder / "inner" / "3.png")
    (folder / "inner" / "bad.png").write_bytes(b"no picture")
    return folder


class Ends(OneFace):
    """A detector that ends the run, as somebody or something would, at the Nth photo."""

    def __init__(self, at: int, how: BaseException) -> None:
        super().__init__()
        self.at, self.how = at, how

    def __call__(self, image: UInt8Array) -> list[Face]:
        faces = super().__call__(image)
        if self.calls == self.at:
            raise self.how
        return faces


def write(model: OnnxModel, album: Path, out: Path, **options: Any) -> Summary:
    options = {"detector": OneFace(), "threads": 1} | options
    return write_predictions([str(album)], models=[model], out=out, **options)


def ended(model: OnnxModel, album: Path, out: Path, at: int = 6, **options: Any) -> str:
    """Run until the Nth photo is looked at; what the interrupt says."""
    with pytest.raises(KeyboardInterrupt) as caught:
        write(model, album, out, detector=Ends(at, KeyboardInterrupt()), **options)
    return str(caught.value)


@pytest.fixture(autouse=True)
def _one_kind_of_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    # The one that ends the run counts as the one of the run that goes on.
    monkeypatch.setattr("mien.inference.pipeline.detector_settings", lambda detector: None)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".jsonl"])
def test_an_interrupted_run_says_where_its_work_is_and_goes_on(
    model: OnnxModel, album: Path, tmp_path: Path, suffix: str
) -> None:
    at_once, out = tmp_path / f"once{suffix}", tmp_path / f"t{suffix}"
    whole = write(model, album, at_once)
    out.write_text("older")
    text = ended(model, album, out)
    partial = tmp_path / f"t{suffix}.partial"
    assert text == f"interrupted; what was read is in {str(partial)!r}: go on with --resume"
    assert out.read_text() == "older"
    assert partial.stat().st_mode & 0o077 == 0
    before = len((partial / "rows.jsonl").read_text().splitlines())
    assert 0 < before < PHOTOS
    resumed = write(model, album, out, resume=True)
    assert resumed.notes == (f"of the inputs, {before} had been read before",)
    assert (resumed.rows, resumed.incomplete) == (whole.rows, whole.incomplete)
    assert out.read_bytes() == at_once.read_bytes()
    assert not partial.exists()


def test_work_that_is_there_is_never_dropped_in_silence(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    ended(model, album, out)
    with pytest.raises(MienError, match=r"got that of an earlier run in .* go on with --resume"):
        write(model, album, out)
    shutil.rmtree(tmp_path / "t.csv.partial")
    assert write(model, album, out).photos == PHOTOS


def test_without_earlier_work_resume_begins(model: OnnxModel, album: Path, tmp_path: Path) -> None:
    assert write(model, album, tmp_path / "t.csv", resume=True).notes == ()


def test_a_run_that_read_nothing_leaves_nothing(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    assert ended(model, album, tmp_path / "t.csv", at=1) == ""
    assert not (tmp_path / "t.csv.partial").exists()


def test_an_error_says_where_the_work_is(model: OnnxModel, album: Path, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"no face model; what was read is in .*t\.csv\.partial"):
        write(model, album, tmp_path / "t.csv", detector=Ends(6, MienError("no face model")))


def test_an_error_in_one_photo_costs_one_row(model: OnnxModel, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "t.jsonl"
    summary = write(model, album, out, detector=Ends(4, ZeroDivisionError("so it goes")))
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert summary.rows == {"ok": 9, "no-face": 1, "unreadable": 2}
    assert [row["reason"] for row in rows][3] == (
        "expected to find its faces, got ZeroDivisionError (so it goes); save it as another file"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"whole": True}, r"another whole \(False, now True\); use"),
        ({"abstain_below": 0.1}, r"another abstain_below \(none, now 0.1\)"),
        ({"annotate": "drawn"}, "another annotate"),
        ({"rows": "frames", "max_pixels": 9}, r"another max_pixels \(none, now 9\)"),
    ],
)
def test_other_settings_are_refused_by_name(
    model: OnnxModel, album: Path, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    out = tmp_path / "t.csv"
    ended(model, album, out)
    with pytest.raises(MienError, match=sentence):
        write(model, album, out, resume=True, **options)
    assert write(model, album, out, resume=True).photos == PHOTOS


def test_another_model_is_refused_by_name(write_model: Any, album: Path, tmp_path: Path) -> None:
    first, second = write_model(), write_model(affect=2)
    out = tmp_path / "t.csv"
    with pytest.raises(KeyboardInterrupt):
        write_predictions(
            [album], models=[first], out=out, detector=Ends(6, KeyboardInterrupt()), threads=1
        )
    with pytest.raises(MienError, match=r"another model \(tiny [0-9a-f]{8}, now tiny [0-9a-f]{8}"):
        write_predictions([album], models=[second], out=out, detector=OneFace(), resume=True)


def test_inputs_that_changed_meanwhile_are_read_again(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out, fresh = tmp_path / "t.jsonl", tmp_path / "fresh.jsonl"
    ended(model, album, out, at=9)
    Image.fromarray(picture(99)).save(album / "1.png")
    (album / "2.png").unlink()
    Image.fromarray(picture(98)).save(album / "1a.png")
    [note] = write(model, album, out, resume=True).notes
    assert "1 had changed since and were read again" in note
    assert "1 of the earlier run are no longer among the inputs" in note
    write(model, album, fresh)
    assert out.read_bytes() == fresh.read_bytes()


@pytest.mark.parametrize("cut", range(1, 9))
def test_a_journal_that_breaks_off_anywhere_is_read_up_to_there(
    model: OnnxModel, album: Path, tmp_path: Path, cut: int
) -> None:
    out, fresh = tmp_path / "t.jsonl", tmp_path / "fresh.jsonl"
    write(model, album, fresh)
    ended(model, album, out, at=9)
    sources, rows = (tmp_path / "t.jsonl.partial" / f"{name}.jsonl" for name in ("sources", "rows"))
    # Either file may have lost its end in a power cut.
    torn = sources if cut % 2 else rows
    torn.write_bytes(torn.read_bytes()[: -37 * cut])
    write(model, album, out, resume=True)
    assert out.read_bytes() == fresh.read_bytes()


def test_a_resumed_run_may_be_interrupted_as_often_as_one_likes(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out, fresh = tmp_path / "t.csv", tmp_path / "fresh.csv"
    write(model, album, fresh)
    ended(model, album, out, at=3)
    for _ in range(4):
        ended(model, album, out, at=2, resume=True)
    write(model, album, out, resume=True)
    assert out.read_bytes() == fresh.read_bytes()


@pytest.mark.slow
def test_drawn_pictures_are_the_same_as_at_once(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    def names(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir()}

    drawn = tmp_path / "drawn"
    write(model, album, tmp_path / "fresh.csv", annotate=tmp_path / "fresh")
    ended(model, album, tmp_path / "t.csv", annotate=drawn)
    write(model, album, tmp_path / "t.csv", annotate=drawn, resume=True)
    assert names(drawn) == names(tmp_path / "fresh")
    for number in (1, 2, 3):
        shard = Shard(number, 3)
        write(model, album, tmp_path / "s.csv", annotate=tmp_path / "shards", shard=shard)
    assert names(tmp_path / "shards") == names(tmp_path / "fresh")


def sharded(model: OnnxModel, album: Path, out: Path, total: int, **options: Any) -> list[Summary]:
    return [
        write(model, album, out, shard=Shard(number, total), **options)
        for number in range(1, total + 1)
    ]


@pytest.mark.parametrize("total", [1, 2, 5, 13])
def test_shards_together_equal_the_whole(
    model: OnnxModel, album: Path, tmp_path: Path, total: int
) -> None:
    out, fresh = tmp_path / "t.parquet", tmp_path / "fresh.parquet"
    whole = write(model, album, fresh)
    summaries = sharded(model, album, out, total)
    assert sum(summary.photos for summary in summaries) == PHOTOS
    assert summaries[0].notes == (f"shard 1/{total} took {-(-PHOTOS // total)} of {PHOTOS} inputs",)
    assert not out.exists()
    merged = merge(out)
    assert (merged.rows, merged.incomplete) == (whole.rows, whole.incomplete)
    assert pq.read_table(out).equals(pq.read_table(fresh), check_metadata=True)
    assert not (tmp_path / "t.parquet.shards").exists()


def test_a_shard_that_is_missing_or_unfinished_is_named(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    with pytest.raises(MienError, match="got none; make them with"):
        merge(out)
    for number in (1, 3):
        write(model, album, out, shard=Shard(number, 4))
    with pytest.raises(MienError, match="got none for 2/4, 4/4; run these"):
        merge(out)
    with pytest.raises(MienError, match=r"got a finished one in .*; join the shards with --merge"):
        write(model, album, out, shard=Shard(3, 4))
    write(model, album, out, shard=Shard(2, 4))
    ended(model, album, out, at=2, shard=Shard(4, 4))
    with pytest.raises(MienError, match="4-of-4', which is not; finish it with --shard 4/4 --res"):
        merge(out)
    write(model, album, out, shard=Shard(4, 4), resume=True)
    assert merge(out).photos == PHOTOS


def test_shards_that_do_not_belong_together_are_refused(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out, shards = tmp_path / "t.csv", tmp_path / "t.csv.shards"
    write(model, album, out, shard=Shard(1, 2))
    shutil.copytree(shards / "1-of-2", shards / "2-of-2")
    with pytest.raises(MienError, match="got shard 1/2, which is then there twice"):
        merge(out)
    shutil.rmtree(shards / "2-of-2")
    write(model, album, out, shard=Shard(2, 2), whole=True)
    with pytest.raises(MienError, match=r"another whole \(False, now True\) in 1/2 and 2/2"):
        merge(out)
    shutil.rmtree(shards / "2-of-2")
    Image.fromarray(picture(50)).save(album / "50.png")
    write(model, album, out, shard=Shard(2, 2))
    with pytest.raises(MienError, match="got 12 and 13 inputs, not all the same, in 1/2 and 2/2"):
        merge(out)
    write(model, album, out, shard=Shard(1, 2), resume=True)
    write(model, album, out, shard=Shard(2, 3))
    with pytest.raises(MienError, match="got some of 2 and some of 3"):
        merge(out)
    shutil.rmtree(shards / "2-of-3")
    assert merge(out).photos == PHOTOS + 1


def test_rows_that_a_shard_has_lost_are_noticed(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.csv"
    sharded(model, album, out, 2)
    rows = tmp_path / "t.csv.shards" / "2-of-2" / "rows.jsonl"
    content = rows.read_bytes()
    rows.write_bytes(content[:-20])
    with pytest.raises(MienError, match="got damaged ones; delete"):
        merge(out)
    rows.write_bytes(content)
    sources = rows.with_name("sources.jsonl")
    sources.write_bytes(b"".join(sources.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(MienError, match=r"expected input 11 in .*2-of-2', got none"):
        merge(out)
    assert not out.exists()


def test_watching_ends_with_a_whole_table(model: OnnxModel, album: Path, tmp_path: Path) -> None:
    out, fresh = tmp_path / "t.jsonl", tmp_path / "fresh.jsonl"
    for path in album.rglob("*.png"):
        os.utime(path, (1, 1))
    write(model, album, fresh)
    write(model, album, out, watched=Watched(idle=0.1))
    assert out.read_bytes() == fresh.read_bytes()
    with pytest.raises(KeyboardInterrupt, match=r"interrupted; .* written to .*t.jsonl"):
        detector = Ends(6, KeyboardInterrupt())
        write(model, album, out, watched=Watched(), detector=detector)
    assert fresh.read_bytes().startswith(out.read_bytes())
    assert not (tmp_path / "t.jsonl.partial").exists()


def test_a_watched_folder_may_lose_what_was_read(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out, fresh = tmp_path / "t.jsonl", tmp_path / "fresh.jsonl"
    for path in album.rglob("*.png"):
        os.utime(path, (1, 1))
    write(model, album, fresh)
    with pytest.raises(MienError):
        write(model, album, out, watched=Watched(), detector=Ends(6, MienError("no model")))
    (album / "0.png").unlink()
    write(model, album, out, watched=Watched(idle=0.1), resume=True)
    assert out.read_bytes() == fresh.read_bytes()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"resume": True, "out": None}, "expected --out with --resume"),
        ({"shard": Shard(1, 2), "out": None}, "expected --out with --shard"),
        ({"shard": Shard(1, 2), "watched": Watched()}, "either --watch or --shard"),
        ({"inputs": ["a.jpg"], "watched": Watched()}, "expected a folder to watch"),
        ({"inputs": ["https://a.org/b.jpg"]}, "mien fetches nothing: .*: https://a.org/b.jpg"),
    ],
)
def test_what_makes_no_sense_is_refused(
    model: OnnxModel, album: Path, tmp_path: Path, options: dict[str, Any], sentence: str
) -> None:
    options = {"inputs": [str(album)], "out": tmp_path / "t.csv"} | options
    with pytest.raises(MienError, match=sentence):
        write_predictions(options.pop("inputs"), models=[model], **options)


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/2/3", "-1/2"])
def test_shards_are_spelled_one_way(text: str) -> None:
    with pytest.raises(MienError, match="expected a shard I/N such as 2/5"):
        Shard.parse(text)


def test_two_runs_do_not_share_their_work(model: OnnxModel, album: Path, tmp_path: Path) -> None:
    class Second(OneFace):
        def __call__(self, image: UInt8Array) -> list[Face]:
            if not self.calls:
                with pytest.raises(MienError, match="got another run that uses it"):
                    write(model, album, tmp_path / "t.csv", resume=True)
            return super().__call__(image)

    assert write(model, album, tmp_path / "t.csv", detector=Second()).rows["ok"] == 10


def test_names_that_are_no_text_and_paths_given_twice(tmp_path: Path) -> None:
    odd = os.fsdecode(bytes(tmp_path) + b"/\xff.png")
    Path(odd).touch()
    (tmp_path / "work").mkdir()
    journal = Journal(tmp_path / "work")
    for number in (0, 1):
        journal.add_rows([{"number": number}])
        state = file_state(odd)
        journal.finish(Finished(number, odd, False, state, {"ok": 1}))
    journal.close()
    journal = Journal(tmp_path / "work")
    for _ in range(2):
        earlier = journal.earlier(Source(odd))
        assert earlier is not None and earlier.path == odd
    assert (journal.reused, journal.gone, journal.changed) == (2, 0, 0)
    assert journal.earlier(Source(odd, video=True)) is None
    journal.close()


def test_json_beside_a_table_has_the_rows_of_all_runs(
    model: OnnxModel, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "t.jsonl"
    ended(model, album, out)
    with (tmp_path / "printed.json").open("w") as stream:
        write(model, album, out, resume=True, json=stream)
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    assert json.loads((tmp_path / "printed.json").read_text()) == rows
