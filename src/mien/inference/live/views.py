"""Where a live picture is shown: in a window, or as lines in the terminal."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from typing import Any, Protocol

from PIL import Image

from mien.errors import MienError
from mien.faces.closing import Closing
from mien.inference.rows import Entry, Rows
from mien.inference.sinks import line_sink, values_of
from mien.schema import Prediction, UInt8Array
from mien.terminal import tell

_SCREEN_SHARE = 0.9


MakeView = Callable[[Rows, str], "View"]
"""Makes a view of rows, with the notice for the people in view."""


class View(Protocol):
    """Shows one frame after the other."""

    draws: bool
    """Whether it shows the picture."""

    def show(
        self, picture: UInt8Array | None, predictions: Sequence[Prediction], status: str
    ) -> None:
        """Show a frame: its picture ``(H, W, 3)`` where it draws, else its predictions."""
        ...

    def stopped(self) -> bool:
        """Whether somebody wants to end; asked several times a second."""
        ...

    def close(self) -> None:
        """Leave the screen as it was."""
        ...


class NoWindow(MienError):
    """There can be no window, because something is ``missing``."""

    def __init__(self, missing: str, why: str) -> None:
        super().__init__(
            f"expected {missing} for a window, got none ({why}); leave --window out for lines here"
        )
        self.missing = missing


class Window(Closing):
    """A window, which Tk draws; q, Escape or closing it ends.

    Raises :class:`NoWindow` where there is no Tk or no screen.
    """

    draws = True

    def __init__(self, title: str) -> None:
        try:
            import tkinter

            from PIL import ImageTk
        except ImportError as error:
            raise NoWindow("a Python with Tk", f"{error}; install python3-tk") from None
        try:
            self._root = tkinter.Tk(className="mien")
        except tkinter.TclError as error:
            raise NoWindow("a screen", str(error)) from None
        self._error = tkinter.TclError
        self._root.title(title)
        self._root.configure(background="#12151b")
        self._most = (
            int(_SCREEN_SHARE * self._root.winfo_screenwidth()),
            int(_SCREEN_SHARE * self._root.winfo_screenheight()),
        )
        self._label = tkinter.Label(self._root, borderwidth=0, background="#12151b")
        self._label.pack(expand=True)
        self._image_of = partial(ImageTk.PhotoImage, master=self._root)
        self._shown: ImageTk.PhotoImage | None = None
        self._stopped = False
        for key in ("q", "Q", "<Escape>"):
            self._root.bind(key, self._stop)
        self._root.protocol("WM_DELETE_WINDOW", self._stop)
        self._root.update()

    def show(
        self, picture: UInt8Array | None, predictions: Sequence[Prediction], status: str
    ) -> None:
        """Show the picture, made smaller where the screen is."""
        if picture is None:
            return
        image = Image.fromarray(picture)
        if image.width > self._most[0] or image.height > self._most[1]:
            image.thumbnail(self._most)
        with suppress(self._error):  # it was closed in between
            if self._shown is None or (self._shown.width(), self._shown.height()) != image.size:
                self._shown = self._image_of(image)
                self._label.configure(image=self._shown)
            else:
                self._shown.paste(image)

    def stopped(self) -> bool:
        """Draw what is due, and whether q was pressed or the window closed."""
        try:
            self._root.update()
        except self._error:
            self._stopped = True
        return self._stopped

    def close(self) -> None:
        """Close the window."""
        with suppress(self._error):
            self._root.destroy()

    def _stop(self, _event: object = None) -> None:
        self._stopped = True


class Terminal(Closing):
    """One line for each face in view, drawn over; q ends.

    ``notice`` stands above. Where the output is no terminal, a line is printed for each face of
    each frame instead, unless ``lines`` is false.
    """

    draws = False

    def __init__(self, rows: Rows, notice: str, *, lines: bool = True) -> None:
        self._rows, self._notice = rows, notice
        self._print = line_sink(sys.stdout, rows) if lines else None
        self._live: Any = None
        self._stack = ExitStack()
        self._pressed = self._stack.enter_context(_keys())
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(file=sys.stdout), transient=True, auto_refresh=False)
            self._live.start()

    def show(
        self, picture: UInt8Array | None, predictions: Sequence[Prediction], status: str
    ) -> None:
        """Draw or print the lines."""
        if self._live is None:
            if self._print is not None:
                self._print([Entry(each, {}) for each in predictions])
                sys.stdout.flush()
            return
        from rich.text import Text

        lines = [self._notice, status]
        for each in predictions:
            who = "" if each.track is None else f"person {each.track}  "
            lines.append(who + values_of(each, self._rows))
        text = Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
        self._live.update(text, refresh=True)

    def stopped(self) -> bool:
        """Whether q was pressed."""
        return self._pressed()

    def close(self) -> None:
        """Remove the lines, and leave the keyboard as it was."""
        if self._live is not None:
            self._live.stop()
        self._stack.close()


@contextmanager
def _keys() -> Iterator[Callable[[], bool]]:
    """Yields what tells whether q was pressed, without waiting for the end of a line."""
    if os.name != "posix" or not sys.stdin.isatty():
        yield lambda: False
        return
    import select
    import termios
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)

    def pressed() -> bool:
        if not select.select([number], [], [], 0)[0]:
            return False
        return bool({b"q", b"Q"} & {bytes([key]) for key in os.read(number, 64)})

    try:
        tty.setcbreak(number)
        yield pressed
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


def window_or_terminal(window: bool | None, title: str, *, lines: bool) -> MakeView:
    """What makes a window, or lines in the terminal; for None a window where there can be one.

    ``lines`` is as for :class:`Terminal`.
    """

    def make(rows: Rows, notice: str) -> View:
        if window is not False:
            try:
                return Window(title)
            except NoWindow as error:
                if window:
                    raise
                tell(f"mien: there is no window without {error.missing}")
        return Terminal(rows, notice, lines=lines)

    return make
