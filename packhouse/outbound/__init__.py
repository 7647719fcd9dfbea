"""Connections that this server opens to others: which addresses are allowed, and how long a request may take."""
