"""facex from PyPI with its defaults, as `benchmarks/inference.py` measures it; see `worker.py`.

It has no way to take a whole picture as the face, so a tight crop in which it detects none counts
as wrong.
"""

import os

import worker

NAMES = {
    **{"anger": "anger", "angry": "anger", "disgust": "disgust", "fear": "fear"},
    **{"happy": "happiness", "happiness": "happiness", "sad": "sadness", "sadness": "sadness"},
    **{"surprise": "surprise", "surprised": "surprise", "neutral": "neutral"},
}


def open_peer(threads):
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ["TF_NUM_INTEROP_THREADS"] = str(threads)
    import cv2
    import facex

    cv2.setNumThreads(threads)
    pool = facex.PoolManager(pool_size=1)

    def read(path):
        return [NAMES.get(str(face["emot"]).lower(), "") for face in pool.predict(cv2.imread(path))]

    def classify(path):
        faces = read(path)
        return faces[0] if faces else ""

    return worker.Peer(read, classify)


if __name__ == "__main__":
    worker.main(open_peer)
