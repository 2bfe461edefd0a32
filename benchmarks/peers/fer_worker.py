"""fer from PyPI with its defaults, as `benchmarks/inference.py` measures it; see `worker.py`."""

import os

import worker

NAMES = {
    **{"angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness"},
    **{"sad": "sadness", "surprise": "surprise", "neutral": "neutral"},
}


def open_peer(threads):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    import cv2
    from fer.fer import FER

    cv2.setNumThreads(threads)
    detector = FER()

    def best(emotions):
        return NAMES[max(emotions, key=emotions.get)]

    def read(path):
        return [best(face["emotions"]) for face in detector.detect_emotions(cv2.imread(path))]

    def classify(path):
        image = cv2.imread(path)
        height, width = image.shape[:2]
        [face] = detector.detect_emotions(image, face_rectangles=[(0, 0, width, height)])
        return best(face["emotions"])

    return worker.Peer(read, classify)


if __name__ == "__main__":
    worker.main(open_peer)
