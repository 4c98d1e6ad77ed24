"""What the routes do. Services know no HTTP and no Flask; `create_app` makes them."""
