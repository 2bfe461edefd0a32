"""Expression search: an index of faces, and the faces in it that are most like another.

:func:`mien.search.build.build_index` makes an index of a dataset, photos or videos,
:func:`mien.search.index.open_index` opens it, and :mod:`mien.search.query` asks it. Nothing here
needs torch.
"""
