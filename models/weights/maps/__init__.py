"""Which name each library gives to the layers of our networks, a file for each library.

source.py        what a library's map has to say; layers and values
torchvision.py   PyTorch: torchvision's names, and names that are ours already
caffe.py         Caffe's model zoo
matconvnet.py    MatConvNet, which took over Caffe's names
keras.py         Keras' applications, and networks made of their layers
efficientnet.py  EfficientNet in PyTorch, converted from TensorFlow
tensorflow.py    TensorFlow's slim, and VGG-16 as an .npz
"""

from models.weights.maps.caffe import Caffe
from models.weights.maps.efficientnet import EfficientNetPytorch
from models.weights.maps.keras import Keras
from models.weights.maps.matconvnet import MatConvNet
from models.weights.maps.preprocessing import Preprocessing
from models.weights.maps.source import Layer, Source, Value, layers_of
from models.weights.maps.tensorflow import Frossard, Slim
from models.weights.maps.torchvision import Own, Torchvision

__all__ = ["SOURCES", "Layer", "Preprocessing", "Source", "Value", "layers_of"]

# In the order in which they are preferred, where a file's names fit several equally well.
SOURCES: tuple[Source, ...] = (
    Torchvision(), Own(), Caffe(), MatConvNet(), Keras(), Slim(), Frossard(), EfficientNetPytorch(),
)  # fmt: skip
