import os
import threading

import pytest

from mien.faces.detection.native import quiet_stderr


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
