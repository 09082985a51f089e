from .cut_tiles import examples_of as examples_of
from .cut_tiles import random_labelled_tile as random_labelled_tile
from .dataset_list import SHIPPED_DATASETS as SHIPPED_DATASETS
from .dataset_list import LabelledDataset as LabelledDataset
from .dataset_list import read_dataset_list as read_dataset_list
from .labelled_image import LabelledImage as LabelledImage
from .open_datasets import read_labelled_dataset as read_labelled_dataset
from .open_datasets import split as split
