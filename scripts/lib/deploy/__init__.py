"""Puts a version of the service into service without dropping a request; see docs/DEPLOYMENT.md.

Read `plan.py` first: it lists the steps. `rollout.py` takes them, and undoes them when one fails.
"""
