"""The parts of a request that find scenes other than by address. Asks no server and opens nothing."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from tiling.scene import Composite, Kernel

_MOMENT = r"(\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?)?)?)?|\.\.)"
_SPAN = rf"^{_MOMENT}(/{_MOMENT})?$"

Metres = Annotated[float, Field(gt=0)]
Box = tuple[float, float, float, float]


class StacSearch(BaseModel):
    """A search of a STAC API; its answer is frozen into the plan."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(
        pattern=r"^https?://", description="address of a STAC API, as https://host/stac/v1 (--stac)"
    )
    collections: tuple[str, ...] = Field(
        min_length=1, description="ids of the collections to search (--collection)"
    )
    bbox: Box | None = Field(
        default=None, description="west, south, east, north in degrees; west above east passes 180°"
    )
    datetime: str | None = Field(
        default=None, pattern=_SPAN, description="a day, month or year, or from/to: 2024-06-01/2024-06-30"
    )
    query: tuple[str, ...] = Field(
        default=(), description="conditions for servers that know them: eo:cloud_cover<20 (--stac-query)"
    )
    max_items: Annotated[int, Field(gt=0)] | None = Field(
        default=None, description="refuse to take more items than this"
    )

    @field_validator("bbox")
    @classmethod
    def _on_the_globe(cls, value: Box | None) -> Box | None:
        if value is not None:
            west, south, east, north = value
            if not (-180 <= west <= 180 and -180 <= east <= 180 and -90 <= south < north <= 90):
                raise ValueError(f"{west},{south},{east},{north} is no box of degrees on the globe")
        return value


class MosaicOptions(BaseModel):
    """Scenes made into a mosaic on a fixed grid per UTM zone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    composite: Composite = Field(description="median, or first-valid: the newest valid pixel (--mosaic)")
    resolution: Metres | None = Field(
        default=None, description="metres per pixel; the items' own if unset (--resolution)"
    )
    grid: Metres | None = Field(default=None, description="side of a cell, metres; 2000 pixels if unset")
    kernel: Kernel = Field(
        default=Kernel.NEAREST, description="nearest, bilinear, cubic or average, for items on other grids"
    )
