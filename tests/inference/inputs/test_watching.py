"""Folders that grow, on a clock that the test moves."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mien.inference.inputs.sources import Source
from mien.inference.inputs.watching import file_state, watch


class Clock:
    """Moves only when somebody sleeps, and then lets something happen."""

    def __init__(self, *events: Callable[[], object]) -> None:
        self.now, self.events = 0.0, list(events)

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.events:
            self.events.pop(0)()


def names(sources: Iterator[Source | None]) -> list[str]:
    return [Path(source.path).name for source in sources if source is not None]


def watched(folder: Path, clock: Clock, **options: object) -> list[str]:
    sources = watch([str(folder)], idle=3, clock=clock, sleep=clock.sleep, **options)  # type: ignore[arg-type]
    return names(sources)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def old(path: Path, content: bytes = b"x") -> None:
    path.write_bytes(content)
    os.utime(path, (1, 1))


def test_what_was_there_comes_sorted_and_what_is_new_once_it_rests(tmp_path: Path) -> None:
    old(tmp_path / "b.jpg")
    old(tmp_path / "a.jpg")
    growing = tmp_path / "c.jpg"
    clock = Clock(
        *(lambda: append(growing) for _ in range(8)),
        lambda: (tmp_path / "inner").mkdir(),
        lambda: (tmp_path / "inner" / "d.jpg").write_bytes(b"x"),
        lambda: (tmp_path / "notes.txt").touch(),
    )
    sizes = {}
    sources = watch([str(tmp_path)], idle=3, clock=clock, sleep=clock.sleep)
    for source in sources:
        if source is not None:
            sizes[Path(source.path).name] = os.stat(source.path).st_size
    assert list(sizes) == ["a.jpg", "b.jpg", "c.jpg", "d.jpg"]
    assert sizes["c.jpg"] == 8 * 4


def test_a_file_that_changes_again_comes_again(tmp_path: Path) -> None:
    old(tmp_path / "a.jpg")
    clock = Clock(*[lambda: None] * 3, lambda: (tmp_path / "a.jpg").write_bytes(b"another"))
    assert watched(tmp_path, clock) == ["a.jpg", "a.jpg"]


def test_what_was_read_before_does_not_come_again(tmp_path: Path) -> None:
    old(tmp_path / "a.jpg")
    old(tmp_path / "b.jpg")
    state = file_state(str(tmp_path / "a.jpg"))
    assert state is not None
    assert watched(tmp_path, Clock(), read={str(tmp_path / "a.jpg"): state}) == ["b.jpg"]


def test_an_empty_folder_has_no_fault_while_it_is_watched(tmp_path: Path) -> None:
    assert watched(tmp_path, Clock()) == []


def test_files_beside_the_folder_come_first_and_once(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    old(tmp_path / "one.jpg")
    clock = Clock(lambda: old(tmp_path / "in" / "two.jpg"))
    sources = watch(
        [str(tmp_path / "in"), str(tmp_path / "one.jpg")], idle=3, clock=clock, sleep=clock.sleep
    )
    assert names(sources) == ["one.jpg", "two.jpg"]
