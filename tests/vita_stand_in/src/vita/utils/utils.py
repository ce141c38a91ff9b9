"""Days by name."""

from datetime import datetime

DAYS = {"chinese": "一二三四五六日", "english": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")}


def get_weekday(date, language=None):
    return DAYS[language or "chinese"][datetime.strptime(date, "%Y-%m-%d %H:%M:%S").weekday()]
