"""The version of the service, in one place that release tools can edit."""

__version__ = "0.1.0"  # x-release-please-version
