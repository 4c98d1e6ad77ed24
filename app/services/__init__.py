"""What the routes do. No module here knows Flask's request or response."""
