"""Describes a source as a Scene: its bands, georeference and metadata, from file headers and STAC items."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from warnings import catch_warnings, simplefilter

import numpy as np
from rasterio.enums import ColorInterp
from rasterio.errors import NotGeoreferencedWarning
from rasterio.io import DatasetReader

from tiling import Band, Scene, SceneError, Transform
from tiling.raster.georeference import read_georeference
from tiling.raster.handles import opened
from tiling.raster.header import DEFAULT_OPTIONS, OpenOptions
from tiling.raster.stac import ItemDocument, choose, is_document, iso_utc, read_document
from tiling.storage import full_address, identity, signed, with_retry

SHOWN = ("R", "G", "B")
"""Keys of a band set, in the order of the display bands."""

RGB = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
"""Colour interpretations of the display bands, in their order."""


Source = str | Mapping[str, str] | ItemDocument | Scene
"""The address of a raster or STAC item, a band set, a STAC item that is loaded, or a described scene."""


@dataclass(frozen=True, slots=True)
class _Choice:
    """The files and bands that a source names, before a file is opened."""

    uri: str
    """The address given by the user."""
    scene_id: str
    """Item id or file stem."""
    bands: tuple[Band, ...]
    """The display bands in order; a single band of index 0 if the file itself must tell its bands."""
    datetime: str | None = None
    """Acquisition time, None if the source does not state it."""


@dataclass(frozen=True, slots=True)
class _Declared:
    """What one file declares."""

    size: tuple[int, int]
    """Columns, rows."""
    crs: str
    """CRS."""
    transform: Transform
    """Pixel to world."""
    dtype: str
    """Numpy dtype of the display bands."""
    bands: tuple[int, ...]
    """Numbers of the display bands, from 1."""
    nodata: float | None
    """Declared nodata value."""
    datetime: str | None
    """Acquisition time."""


def describe_scene(
    source: Source,
    *,
    bands: tuple[int, ...] | None = None,
    assets: tuple[str, ...] | None = None,
    assume_crs: str | None = None,
    options: OpenOptions = DEFAULT_OPTIONS,
) -> Scene:
    """Describe a raster, a STAC item (.json), a set of single-band files, or a described scene again.

    Args:
        source: Address of a raster or STAC item; `{"R": file, "G": file, "B": file}` on one grid; a STAC
            item's JSON; or a described scene, whose files are read again while its bands stay the same.
        bands: Numbers of the bands to display as red, green, blue (three) or grey (one), from 1; None takes
            the bands of a file that has only one possible choice.
        assets: Assets or bands of a STAC item to display: three names, or one.
        assume_crs: CRS to take where a file has none.
        options: What a file may declare.

    Raises:
        SceneError: The source does not exist or is not allowed, its bands or its georeference are not clear,
            or its files do not share one grid.
        StorageError: Object storage refuses or is away.
    """
    choice = _choose(source, assets)
    declared: dict[str, _Declared] = {}
    for uri in dict.fromkeys(band.uri for band in choice.bands):
        declared[uri] = _read_declared(uri, _indexes_in(choice, uri) or bands, assume_crs, options)
    first = _one_grid(choice.uri, declared)
    shown = choice.bands if choice.bands[0].index else _expanded(choice.bands[0], first)
    return Scene(
        uri=choice.uri,
        scene_id=choice.scene_id,
        identity=identity(signed(uri, options.sign) for uri in declared),
        width=first.size[0],
        height=first.size[1],
        transform=first.transform,
        crs=first.crs,
        dtype=first.dtype,
        bands=shown,
        nodata=first.nodata,
        datetime=choice.datetime or first.datetime,
    )


def _indexes_in(choice: _Choice, uri: str) -> tuple[int, ...]:
    return tuple(band.index for band in choice.bands if band.uri == uri and band.index)


def _expanded(band: Band, declared: _Declared) -> tuple[Band, ...]:
    return tuple(replace(band, index=index) for index in declared.bands)


def _choose(source: Source, assets: tuple[str, ...] | None) -> _Choice:
    if isinstance(source, Scene):
        return _Choice(source.uri, source.scene_id, source.bands, source.datetime)
    if isinstance(source, ItemDocument):
        return _of_item(source, assets)
    if not isinstance(source, str):
        return _band_set(source)
    if is_document(source):
        return _of_item(ItemDocument(source, read_document(source)), assets)
    return _Choice(source, _stem(source), (Band(full_address(source), 0),))


def _of_item(document: ItemDocument, assets: tuple[str, ...] | None) -> _Choice:
    item = choose(document, wanted=assets)
    files = tuple(replace(band, uri=full_address(band.uri)) for band in item.files)
    return _Choice(document.uri, item.item_id, files, item.datetime)


def _band_set(files: Mapping[str, str]) -> _Choice:
    if set(files) != set(SHOWN):
        raise SceneError(str(dict(files)), "a band set needs the keys R, G and B, each with a file")
    bands = tuple(Band(full_address(files[key]), 1) for key in SHOWN)
    return _Choice(files["R"], _stem(files["R"]), bands)


def _stem(uri: str) -> str:
    return os.path.splitext(uri.rstrip("/").rsplit("/", 1)[-1])[0]


def _read_declared(
    uri: str, indexes: tuple[int, ...] | None, assume_crs: str | None, options: OpenOptions
) -> _Declared:
    """What a file declares; a remote file is read a second time before an error is raised."""
    return with_retry(uri, lambda: _declared(uri, indexes, assume_crs, options))


def _declared(
    uri: str, indexes: tuple[int, ...] | None, assume_crs: str | None, options: OpenOptions
) -> _Declared:
    with catch_warnings():
        simplefilter("ignore", NotGeoreferencedWarning)
        with opened(uri, options) as dataset:
            shown = _checked(uri, dataset, indexes) if indexes else _only_choice(uri, dataset)
            crs, transform = read_georeference(uri, dataset, assume_crs=assume_crs)
            return _Declared(
                size=(dataset.width, dataset.height),
                crs=crs,
                transform=transform,
                dtype=_dtype(uri, dataset, shown),
                bands=shown,
                nodata=dataset.nodatavals[shown[0] - 1],
                datetime=_datetime(dataset),
            )


def _only_choice(uri: str, dataset: DatasetReader) -> tuple[int, ...]:
    """The display bands of a file that has only one possible choice."""
    colours = dataset.colorinterp
    if ColorInterp.palette in colours:
        raise SceneError(uri, "holds palette indices, not colours: expand it (gdal_translate -expand rgb)")
    if dataset.count in (1, 3) and ColorInterp.alpha not in colours:
        return tuple(range(1, dataset.count + 1))
    if dataset.count == 4 and set(colours) == {*RGB, ColorInterp.alpha}:
        return tuple(colours.index(colour) + 1 for colour in RGB)
    raise SceneError(uri, f"has {dataset.count} bands; say which with --bands 3,2,1")


def _checked(uri: str, dataset: DatasetReader, indexes: tuple[int, ...]) -> tuple[int, ...]:
    if len(indexes) not in (1, 3):
        raise SceneError(uri, f"{len(indexes)} bands were named: name one (grey) or three (red, green, blue)")
    if not all(1 <= index <= dataset.count for index in indexes):
        raise SceneError(uri, f"has bands 1 to {dataset.count}, not {','.join(map(str, indexes))}")
    return indexes


def _dtype(uri: str, dataset: DatasetReader, shown: tuple[int, ...]) -> str:
    names = {dataset.dtypes[index - 1] for index in shown}
    if len(names) > 1:
        raise SceneError(uri, f"its bands differ in type ({', '.join(sorted(names))}): convert them to one")
    name = names.pop()
    if name.startswith("complex"):
        raise SceneError(uri, f"holds {name} values: convert them to amplitude first")
    try:
        return str(np.dtype(name).name)
    except TypeError as exc:
        raise SceneError(
            uri, f"its pixel type {name!r} is not read: convert it (gdal_translate -ot)"
        ) from exc


def _datetime(dataset: DatasetReader) -> str | None:
    acquired = dataset.tags(ns="IMAGERY").get("ACQUISITIONDATETIME")
    return iso_utc(acquired) or iso_utc(dataset.tags().get("TIFFTAG_DATETIME"))


def _one_grid(uri: str, declared: Mapping[str, _Declared]) -> _Declared:
    first, *others = declared.values()
    for name, other in zip(list(declared)[1:], others, strict=True):
        for what in ("size", "crs", "dtype"):
            if getattr(other, what) != getattr(first, what):
                raise SceneError(
                    uri, f"{name} differs in {what}: {getattr(other, what)}, not {getattr(first, what)}"
                )
        if not np.allclose(other.transform, first.transform, rtol=1e-9, atol=1e-9):
            raise SceneError(uri, f"{name} lies elsewhere: {other.transform}, not {first.transform}")
    return first
