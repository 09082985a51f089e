"""Finds the sources of a request from its addresses or its search: rasters, band sets and STAC items."""

from concurrent.futures import ThreadPoolExecutor

from pipelines.plan.config import JobConfig
from tiling.raster import Source, is_document
from tiling.storage import list_sources

PARALLEL_READS = 16
"""Files or documents read at the same time: a read mostly waits for storage."""


def find_sources(config: JobConfig) -> list[Source]:
    """All sources that a request names or finds; STAC documents are expanded into their items.

    Raises:
        SceneError: an address leads to nothing, or a STAC document cannot be read.
        RequestError: a STAC API cannot be reached, or finds nothing.
    """
    if config.stac is not None:
        from pipelines.plan.stac_search import search

        return list(search(config.stac))
    sources: list[Source] = [source for source in config.scenes if not isinstance(source, str)]
    patterns = [source for source in config.scenes if isinstance(source, str)]
    addresses = list_sources(patterns) if patterns else []
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        return sources + [source for found in pool.map(_expanded, addresses) for source in found]


def _expanded(address: str) -> list[Source]:
    if not is_document(address):
        return [address]
    # Imported here, so that only jobs over STAC wait a third of a second for its libraries.
    from pipelines.plan.stac_search import items_of

    return list(items_of(address))
