"""Prediction with onnxruntime; never imports torch."""
