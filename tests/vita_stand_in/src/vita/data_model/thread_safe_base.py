"""Objects by key, one dictionary per class and thread."""

import threading


class ThreadSafeBase:
    @classmethod
    def _mine(cls, name):
        if not hasattr(cls, name):
            setattr(cls, name, {})
        return getattr(cls, name).setdefault(threading.get_ident(), {})

    @classmethod
    def clear_thread_data(cls):
        cls._mine("_global_instances").clear()
        cls._mine("_polymorphic_instances").clear()

    @classmethod
    def known(cls):
        return cls._mine("_global_instances")

    def register(self, key):
        self._mine("_global_instances")[key] = self
