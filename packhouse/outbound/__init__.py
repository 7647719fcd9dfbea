"""Connections that this server opens to others: where they may go, and how long they may take."""
