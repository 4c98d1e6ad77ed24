"""Drills: break something on purpose, see the alert fire, repair it, see the alert end."""
