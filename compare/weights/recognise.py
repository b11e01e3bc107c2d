"""Names the network that a file's arrays are of, where it is another than those that can be moved."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

Arrays = dict[str, np.ndarray]

_DEPTHS = {(3, 4, 6, 3): "50", (3, 4, 23, 3): "101", (3, 8, 36, 3): "152"}
_BASIC = {(2, 2, 2, 2): "18", (3, 4, 6, 3): "34"}
_DENSENETS = {(6, 12, 24, 16): "121", (6, 12, 32, 32): "169", (6, 12, 48, 32): "201", (6, 12, 36, 24): "161"}
# what the blocks of a ResNet's relatives have besides
_RESNETS = (
    (r"layer\d\.\d+\.convs\.\d", "a Res2Net"),
    (r"layer\d\.\d+\.conv\d\.(paths|attn)\.", "an SK-ResNet"),
    (r"layer\d\.\d+\.conv2\.fc1", "a ResNeSt"),
    (r"layer\d\.\d+\.(se|se_module)\.", "an SE-ResNet"),
)
# convolutions a block
_VGGS = {(1, 1, 2, 2, 2): "11", (2, 2, 2, 2, 2): "13", (2, 2, 3, 3, 3): "16", (2, 2, 4, 4, 4): "19"}
# block and convolution in the names of Keras, and in those of Caffe and TensorFlow's slim
_BLOCKS = r"(?:^|[./])(?:block|conv)([1-5])_(?:conv)?(\d)(?=[._/])"
# words in the names of arrays that are one architecture's own, the special before the general
_WORDS = (
    (r"[._]lora_[AB]", "a LoRA adapter without the model that it is for"),
    ("sepconv", "an Xception"),
    ("normal_conv_|normal_add|reduction_conv_|nasnet|comb_iter", "a NASNet"),
    (r"token_mixer\.dwconv_hw", "an InceptionNeXt"),
    (r"token_mixer", "a MetaFormer, as PoolFormer is one"),
    (r"stages\.\d\.blocks\.\d+\.conv_(mid|concat)", "a VoVNet"),
    ("convnext", "a ConvNeXt"),
    ("stem_conv|block1a_|_conv_stem", "an EfficientNet"),
    (r"layer_scale|stages\.\d\.blocks\.\d+\.gamma", "a ConvNeXt"),
    (r"stage\d\.\d+\.branch\d", "a ShuffleNet"),
    (r"relative_position_bias_table|cpb_mlp|meta_mlp", "a Swin Transformer"),
    (r"stages\.\d\.blocks\.\d+\.norm3", "a ResNetV2"),
    (r"features\.\d\.\d\.block\.\d\.\d\.weight", "an EfficientNet"),
    (r"features\.\d+\.block\.\d\.\d\.weight", "a MobileNetV3"),
    (r"layers\.\d+\.\d\.layers\.\d\.running_mean", "an MNASNet"),
    (r"blocks\.\d+\.\d+\.(conv_dw|conv_pw)", "an EfficientNet or a MobileNet of timm's"),
    (r"block_\d+_(expand|depthwise)|features\.\d+\.conv\.\d", "a MobileNetV2"),
    ("expanded_conv", "a MobileNetV3"),
    (r"conv_dw_\d+|conv_pw_\d+", "a MobileNet"),
    ("inception_resnet|block35_|mixed_5b", "an InceptionResNet"),
    (r"Mixed_\d|mixed\d|inception\d[ab]", "an Inception network"),
    (r"fire\d|expand3x3", "a SqueezeNet"),
    (r"blocks\.\d+\.layers\.\d+\.layers\.window_attention", "a MaxViT"),
    (r"patch_embed|encoder_layer_\d|cls_token|blocks\.\d+\.attn", "a Vision Transformer"),
    (r"word_embeddings|(layers?|h)\.\d+\.(self_attn|attention|attn)\.", "a transformer for text"),
    (r"s\d+\.b\d+\.conv|trunk_output", "a RegNet"),
    (r"down\d\.|up\d\.|inc\.double_conv", "a U-Net"),
    (r"model\.\d+\.(cv\d|m\.\d)", "a YOLO network"),
)


def recognise(arrays: Arrays) -> str:
    """Name the architecture of arrays under whatever names they have, with its article; empty if it isn't known."""
    names = list(arrays)
    if any(re.search("sepconv|convnext|token_mixer|normal_conv_", name) for name in names):
        return _by_words(names)
    for found in (_densenet(names), _resnet(arrays), _vgg(arrays)):
        if found:
            return found
    return _by_words(names)


def _by_words(names: list[str]) -> str:
    return next((kind for word, kind in _WORDS if any(re.search(word, name) for name in names)), "")


def _counted(names: Iterable[str], pattern: str) -> dict:
    """First group of a pattern, a number -> how many different second groups it comes with."""
    found: dict[int, set[str]] = {}
    for name in names:
        match = re.search(pattern, name)
        if match:
            found.setdefault(int(match[1]), set()).add(match[2])
    return {name: len(seconds) for name, seconds in sorted(found.items())}


def _densenet(names: list[str]) -> str:
    torch = _counted(names, r"denseblock(\d+)\.denselayer(\d+)\.")
    keras = (
        _counted(names, r"^conv([2-5])_block(\d+)_1_conv/")
        if any(n.startswith("conv1/conv") for n in names)
        else {}
    )
    if any(name.startswith("pool2_conv") for name in names):
        keras = _counted(names, r"^conv([2-5])_block(\d+)_1_conv/")
    blocks = tuple((torch or keras).values())
    return f"a DenseNet{_DENSENETS.get(blocks, '')}" if blocks else ""


def _resnet(arrays: Arrays) -> str:
    names = list(arrays)
    blocks = (
        _counted(names, r"(?:^|\.)layer([1-4])\.(\d+)\.conv1\.")
        or _counted(names, r"(?:^|\.)stages\.([0-3])\.layers\.(\d+)\.layer\.0\.")
        or _counted(names, r"(?:^|/|\.)conv([2-5])_block(\d+)_(?:1_conv|preact_bn)")
        or _counted(names, r"(?:^|\.)conv([2-5])_block(\d+)\.conv1")
        or _counted(names, r"^res([2-5])([a-z]\d*)_branch2a")
        or _counted(names, r"(?:^|\.)res([2-5])\.(\d+)\.conv1\.")
        or _counted(names, r"(?:^|/)block([1-4])/unit_(\d+)/bottleneck_v[12]/")
    )
    if len(blocks) != 4:
        return ""
    depth = tuple(blocks.values())
    if any("preact" in name or "/bottleneck_v2/" in name or name.startswith("post_bn") for name in names):
        return f"a ResNet{_DEPTHS.get(depth, '')}V2"
    bottleneck = any(re.search(r"conv3\.|layer\.2\.|_3_conv|branch2c|[./]conv3", name) for name in names)
    for word, kind in _RESNETS:
        if any(re.search(word, name) for name in names):
            return f"{kind}{(_DEPTHS if bottleneck else _BASIC).get(depth, '')}"
    if not bottleneck:
        return f"a ResNet{_BASIC.get(depth, '')}"
    kernels = [
        a
        for name, a in arrays.items()
        if re.search(r"layer1\.0\.conv2\.weight|conv2_block1_2_conv/kernel", name)
    ]
    outer = [
        a
        for name, a in arrays.items()
        if re.search(r"layer1\.0\.conv3\.weight|conv2_block1_3_conv/kernel", name)
    ]
    number = _DEPTHS.get(depth, "")
    if kernels and outer and kernels[0].ndim == outer[0].ndim == 4:
        torch = kernels[0].shape[-1] == 3
        inner, seen = (kernels[0].shape[0], kernels[0].shape[1]) if torch else kernels[0].shape[:1:-1]
        if seen < inner:
            return f"a ResNeXt{number}"
        if (outer[0].shape[0] if torch else outer[0].shape[-1]) < 4 * inner:
            return f"a Wide ResNet{number}"
    if any(name.endswith("conv1.0.weight") for name in names):
        return f"a ResNet{number}-D or another with a deep stem"
    return f"a ResNet{number}" if number else f"a ResNet with {', '.join(map(str, depth))} blocks"


def _vgg(arrays: Arrays) -> str:
    names = list(arrays)
    torch = [n for n in names if re.search(r"(?:^|\.)features\.\d+\.weight$", n)]
    keras = [n for n in names if re.search(_BLOCKS, n)]
    kernels = [n for n in torch or keras if arrays[n].ndim == 4]
    torch_layout = any(arrays[n].shape[2:] == (3, 3) for n in kernels)
    size = {arrays[n].shape[2:] if torch_layout else arrays[n].shape[:2] for n in kernels}
    if len(kernels) == 5 and torch and (11, 11) in size:
        return "an AlexNet"
    if size != {(3, 3)} or not 6 <= len(kernels) <= 24:
        return ""
    normalised = any(re.search(r"features\.\d+\.running_mean$|block\d_bn\d", name) for name in names)
    blocks = _blocks_of_indices(kernels, normalised) if torch else _blocks_of_names(kernels)
    bn = " with BN" if normalised else ""
    if blocks in _VGGS:
        return f"a VGG{_VGGS[blocks]}{bn}"
    return f"a VGG{bn} with {', '.join(map(str, blocks))} convolutions a block"


def _blocks_of_names(kernels: list[str]) -> tuple[int, ...]:
    return tuple(_counted(kernels, _BLOCKS).values())


def _blocks_of_indices(kernels: list[str], normalised: bool) -> tuple[int, ...]:
    """How many convolutions follow one another; a pooling between two takes a number of ``features`` of its own."""
    numbers = sorted(int(re.findall(r"features\.(\d+)\.", name)[0]) for name in kernels)
    blocks = [1]
    for before, after in pairwise(numbers):
        if after - before > (3 if normalised else 2):
            blocks.append(0)
        blocks[-1] += 1
    return tuple(blocks)
