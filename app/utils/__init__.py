"""Cross-cutting parts that services and routes both use; they know settings and nothing above."""
