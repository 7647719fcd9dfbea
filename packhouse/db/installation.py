"""What a database tells of the installation it belongs to."""

from packhouse.db.session import Session


def has_stored_secrets(session: Session) -> bool:
    """Tell whether anything is stored that only the secret keys open."""
    return any(
        session.one(query) is not None for query in ("find_stored_credential", "find_stored_webhook_secret")
    )
