"""What the reader of a pull request is told of a model: written by one job, delivered by another.

The job that trains holds the registry's secret and writes the review into a folder (``facts``,
``data``, ``page``). The job that delivers it (``post``) may write to the pull request, holds no
other secret and has nothing installed: what it imports is of the standard library.
"""
