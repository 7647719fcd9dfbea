"""Git over HTTP: one module per service, each with its ROUTES."""
