"""Runs what `create_app` made: Gunicorn or Granian, workers, lifecycle, periodic tasks."""
