from .cut_tiles import examples_of as examples_of
from .cut_tiles import random_labelled_tile as random_labelled_tile
from .label_sets import SHIPPED as SHIPPED
from .label_sets import RealSet as RealSet
from .label_sets import read_sets as read_sets
from .labelled_image import LabelledImage as LabelledImage
from .open_sets import read_set as read_set
from .open_sets import split as split
