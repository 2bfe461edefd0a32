"""mien, as `benchmarks/inference.py` measures it; see `worker.py` for the protocol."""

from functools import cache

import worker


def open_peer(threads):
    from mien.inference.inputs.sources import Source
    from mien.inference.model import open_onnx
    from mien.inference.photos import Reading, predict_photos
    from mien.inference.predictor import Predictor

    # A single photo is read with all threads for each network, many photos with one thread each.
    @cache
    def alone():
        return Predictor(open_onnx(threads=threads))

    @cache
    def many():
        return Predictor(open_onnx(threads=1))

    def read(path):
        return [each.expression for each in alone()(path) if each.face]

    def read_all(paths):
        items = ((None, Source(path)) for path in paths)
        read_in_turn = predict_photos(many(), items, Reading(threads=threads))
        return [[each.expression for each in photo if each.face] for _, photo in read_in_turn]

    def classify(path):
        [face] = alone()(path, tight=True)
        return face.expression

    return worker.Peer(read, classify, read_all)


if __name__ == "__main__":
    worker.main(open_peer)
