"""The OpenAPI 3.1 document, generated from the routes and the structs that stand beside their handlers."""
