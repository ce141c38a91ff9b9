"""One language for everybody."""

_language = "chinese"


def get_global_language():
    return _language


def set_global_language(language):
    global _language
    _language = language
