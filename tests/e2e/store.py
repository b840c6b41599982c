"""What the tests ask of a place in a cloud that files are delivered into, whoever serves it.

For the oracle the place is copied into a folder; what is staged is whatever readers of the place do not see.
"""

from __future__ import annotations

import abc
import shutil
import time
import uuid
from pathlib import Path

from offtake import Destination, until
from oracle import Delivered, Watcher, check_exactly_once, check_files, check_folder, check_tiled, manifests


class Store(abc.ABC):
    """A place of the test's own."""

    # What a listing says when files move under it, or the place is taken away at the test's end.
    gone: tuple[type[Exception], ...] = ()

    def __init__(self, folder: Path) -> None:
        self.mirror = folder / f"store-{uuid.uuid4().hex[:8]}"

    @abc.abstractmethod
    def destination(self, **auth: object) -> Destination:
        """What a flow must be told to deliver here; `auth` replaces or adds parameters of the base connection."""

    @abc.abstractmethod
    def objects(self) -> dict[str, int]:
        """The keys that a consumer sees, with their sizes."""

    @abc.abstractmethod
    def read(self, key: str) -> bytes:
        """What a consumer reads there."""

    @abc.abstractmethod
    def staged(self) -> list[str]:
        """What was sent and is not visible."""

    @abc.abstractmethod
    def remove(self) -> None:
        """Takes the place away again."""

    def look(self) -> Path:
        """A fresh copy of the place."""
        shutil.rmtree(self.mirror, ignore_errors=True)
        self.mirror.mkdir(parents=True)
        for key in self.objects():
            path = self.mirror / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(self.read(key))
        return self.mirror

    def manifests(self) -> list[Delivered]:
        """Every manifest of ours in a fresh copy, in the order of the deliveries."""
        return manifests(self.look())

    def check(self, rows: int) -> list[Delivered]:
        """Every row up to that one came once, in files as their manifests say, and nothing else is there or staged."""
        found = self.manifests()
        for delivered in found:
            check_files(delivered)
        check_exactly_once(found, range(rows))
        check_tiled(found)
        check_folder(self.mirror, found)
        return found

    def check_swept(self, seconds: float = 20) -> None:
        """The janitor leaves nothing staged."""
        for _ in until(seconds):
            if not self.staged():
                return
        raise AssertionError(f"still staged: {self.staged()}")


class StoreWatcher(Watcher):
    """Lists the place all the time and remembers each object with every size it was seen at."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.mirror)
        self.store = store
        self.looks = 0

    def _watch(self) -> None:
        while not self._end.is_set():
            self._look()
            time.sleep(0.02)

    def _look(self) -> None:
        try:
            found = self.store.objects()
        except self.store.gone:
            return
        self.looks += 1
        for key, size in found.items():
            if not key.endswith(".manifest"):
                self.sizes.setdefault(self.zone / key, set()).add(size)
