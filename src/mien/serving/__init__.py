"""A server of predictions, and pages for people: requests -> predictor -> JSON.

:func:`~mien.serving.app.create_app` makes the application of a
:class:`~mien.serving.service.Service`, and :func:`~mien.serving.server.serve` runs it for
``mien serve``. :mod:`~mien.serving.exports` writes what serves a model without mien. Never imports
torch.
"""
