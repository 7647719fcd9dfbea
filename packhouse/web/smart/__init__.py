"""Git over HTTP: one module a service, each with its ROUTES."""
