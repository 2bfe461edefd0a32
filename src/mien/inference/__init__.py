"""Prediction with onnxruntime, from a file to a row: sources -> predictor -> rows -> sinks.

:mod:`~mien.inference.pipeline` ties them together for ``mien predict``, and
:mod:`~mien.inference.predict` is ``mien.predict``. Never imports torch.
"""
