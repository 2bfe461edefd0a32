import os
import threading

import pytest

from mien.faces.native import explained_libraries, quiet_stderr
from mien.schema import MienError


@pytest.mark.parametrize("kind", [ImportError, OSError])
def test_a_missing_library_names_the_line_that_installs_it(kind: type[Exception]) -> None:
    lines = r"libEGL\.so\.1.*apt-get install -y libgl1 libegl1 libgles2 libglib2\.0-0"
    with pytest.raises(MienError, match=lines), explained_libraries():
        raise kind("libEGL.so.1: cannot open shared object file: No such file or directory")


@pytest.mark.parametrize("error", [ImportError("no module named x"), OSError("disk full")])
def test_other_errors_stay_what_they_are(error: Exception) -> None:
    with pytest.raises(type(error), match=str(error)), explained_libraries():
        raise error


def test_only_chatter_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_stderr():
        os.write(2, b"W0000 00:00:1.5 6605 face_landmarker_graph.cc:181] a note\n")
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        os.write(2, b"E0000 00:00:1.5 6605 graph.cc:1] a real error\nanother program's line\n")
    assert capfd.readouterr().err.splitlines() == [
        "E0000 00:00:1.5 6605 graph.cc:1] a real error",
        "another program's line",
    ]


def test_stderr_comes_back_after_an_exception_and_many_threads(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def work() -> None:
        for _ in range(20):
            with quiet_stderr():
                os.write(2, b"I0000 chatter\n")

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with pytest.raises(RuntimeError), quiet_stderr():
        raise RuntimeError
    os.write(2, b"still here\n")
    assert capfd.readouterr().err == "still here\n"
