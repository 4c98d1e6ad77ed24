"""Puts a version of the service into service without dropping a request; see docs/DEPLOYMENT.md.

Read `Rollout.steps` in `rollout.py` first.
"""
