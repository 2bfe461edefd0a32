"""``mien search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mien.cli.options import Detector, Json, Thorough, Tight, detector_of, refuse_beside
from mien.errors import MienError


def search(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="What `mien index` made.")],
    photo: Annotated[
        Path | None, typer.Argument(metavar="[PHOTO]", help="Look for faces like the one in it.")
    ] = None,
    valence: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Look for faces near this valence.")
    ] = None,
    arousal: Annotated[
        float | None, typer.Option(min=-1, max=1, help="Look for faces near this arousal.")
    ] = None,
    units: Annotated[
        str | None,
        typer.Option(metavar="TEXT", help='Look for action units, as "AU12 without AU6".'),
    ] = None,
    top: Annotated[int, typer.Option(min=1, max=10_000, help="How many faces to list.")] = 10,
    face: Annotated[
        int | None, typer.Option(min=0, help="Which face of the photo (default: 0, the largest).")
    ] = None,
    other_people: Annotated[
        bool,
        typer.Option("--other-people", help="Leave out the person who is in the photo."),
    ] = False,
    subject: Annotated[
        str | None, typer.Option(metavar="NAME", help="Who is in the photo, for --other-people.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME|FILE", help="Where the model of the index is by now."),
    ] = None,
    tight: Tight = False,
    thorough: Thorough = False,
    detector: Detector = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a .csv, .parquet or .jsonl table.")
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a page with the pictures.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the faces of an index with an expression.

    The expression is that of a photo, a point of valence and arousal, or action units.
    """
    from mien.cli.printing import print_json, print_matches
    from mien.inference.tables import open_table
    from mien.search.index import open_index
    from mien.search.query import most_alike, nearest_to_point, read_face, with_units
    from mien.search.results import answer_rows, answer_schema
    from mien.search.units import parse_units

    kinds = [photo is not None, valence is not None or arousal is not None, units is not None]
    if sum(kinds) != 1:
        got = "none of them" if not any(kinds) else "several"
        raise MienError(
            "expected one of a photo, --valence with --arousal, and --units to search for, got "
            f"{got}; give one"
        )
    if photo is None:
        of_photo = {
            "--face": face is not None,
            "--other-people": other_people,
            "--subject": subject,
            "--model": model,
            "--tight": tight,
            "--thorough": thorough,
            "--detector": detector,
        }
        refuse_beside("a search without a photo", of_photo, "it is about one")
    if subject is not None and not other_people:
        raise MienError("expected --other-people with --subject, got it alone; add it")
    opened = open_index(index)
    if photo is not None:
        make_detector = detector_of(detector, thorough)
        query = read_face(
            opened,
            photo,
            face=face or 0,
            model=model,
            detector=None if make_detector is None else make_detector(),
            tight=tight,
        )
        answer = most_alike(opened, query, top=top, other_people=other_people, subject=subject)
    elif units is not None:
        answer = with_units(opened, parse_units(units), top=top)
    elif valence is not None and arousal is not None:
        answer = nearest_to_point(opened, valence, arousal, top=top)
    else:
        raise MienError("expected both --valence and --arousal, got one of them; give the other")
    rows = answer_rows(opened, answer)
    if out is not None:
        with open_table(out, lambda: answer_schema(opened, answer.measure)) as write:
            write(rows)
    if html is not None:
        from mien.reports.matches import write_matches

        write_matches(html, opened, answer)
    if as_json:
        print_json(rows)
        return
    print_matches(rows, answer)
    for place in filter(None, (out, html)):
        print(f"written to {place}")
