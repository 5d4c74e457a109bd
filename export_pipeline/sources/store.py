"""Rows of a named store: a data set, or a read-only query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from pydantic import model_validator

from export_pipeline.filters import Roles
from export_pipeline.sources.base import Opened, Source
from export_pipeline.sources.stores import Request, Session, Stores


class StoreSource(Source):
    """A data set of a named store, or a read-only SQL query in it."""

    store: str
    """Name of the store, as in ``stores.yaml``."""
    dataset: str | None = None
    """Name of one of its data sets."""
    query: str | None = None
    """One SELECT in the store's own SQL; joins live here. Whatever writes is refused."""

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.dataset is None) == (self.query is None):
            raise ValueError(
                "a source of a store has either 'dataset' or 'query'"
                + (", not both" if self.dataset is not None else f": which rows of {self.store!r}?")
            )
        return self

    def open(
        self,
        stores: Stores | None = None,
        roots: Sequence[Path] | None = None,  # noqa: ARG002 - a store is named, its path is not the export's
        *,
        folder: Path | None = None,  # noqa: ARG002
    ) -> Opened:
        """Open the data set or the query in a transaction of its own."""
        known = stores or Stores()
        session = known.store(self.store).connect(self.store)
        try:
            opened = self.open_in(session, known)
        except BaseException:
            session.close()
            raise
        opened.owned = session
        return opened

    def open_in(self, session: Session, stores: Stores) -> Opened:
        """Open the data set or the query in a transaction that others share."""
        own = self.roles.model_dump(exclude_none=True)
        if self.query is not None:
            request = Request(what=f"store {self.store}, query", types=self.types, roles=self.roles)
            return session.open_query(self.query, request)
        dataset = stores.dataset(self.store, str(self.dataset))
        known = dataset.model_dump(exclude={"table"}, exclude_none=True)
        request = Request(
            what=f"store {self.store}, dataset {self.dataset}", types=self.types, roles=Roles(**(known | own))
        )
        return session.open_table(dataset.table or str(self.dataset), request)


@contextmanager
def open_sources(
    sources: Mapping[str, Source],
    stores: Stores | None = None,
    roots: Sequence[Path] | None = None,
    *,
    folder: Path | None = None,
) -> Iterator[dict[str, Opened]]:
    """Open several sources in one consistent view: those of one store share one transaction."""
    known = stores or Stores()
    sessions: dict[str, Session] = {}
    with ExitStack() as stack:
        opened: dict[str, Opened] = {}
        for name, source in sources.items():
            if isinstance(source, StoreSource):
                if source.store not in sessions:
                    session = known.store(source.store).connect(source.store)
                    stack.callback(session.close)
                    sessions[source.store] = session
                opened[name] = source.open_in(sessions[source.store], known)
            else:
                opened[name] = stack.enter_context(source.open(known, roots, folder=folder))
        yield opened
