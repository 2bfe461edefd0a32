"""facex from PyPI with its defaults, as `benchmarks/inference.py` measures it; see `worker.py`."""

import os

import worker

NAMES = {
    **{"anger": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness"},
    **{"neutral": "neutral", "sadness": "sadness", "surprised": "surprise"},
}


def open_peer(threads):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    import cv2
    import facex

    cv2.setNumThreads(threads)
    pool = facex.PoolManager(pool_size=1)

    def best(emotions):
        return NAMES[max(emotions, key=emotions.get)]

    def read(path):
        return [best(face["emot"]) for face in pool.predict(cv2.imread(path))]

    def classify(path):
        return best(pool.pool[0].detect_emotion(cv2.imread(path, cv2.IMREAD_GRAYSCALE)))

    return worker.Peer(read, classify)


if __name__ == "__main__":
    worker.main(open_peer)
