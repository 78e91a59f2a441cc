"""What options become: settings, pipelines, schedules, weights of classes, groups of parameters."""

import json

import numpy as np
import pytest

import minidl as library
import models
from apps.classify.augmentation import AREA, CHOICES, augmented
from apps.classify.class_weights import class_weights
from apps.classify.data import make_loaders
from apps.classify.defaults import from_command_line
from apps.classify.losses import loss_note, make_loss
from apps.classify.plan import make_plan
from apps.classify.recipes import OTHER_DATA, PHOTOS, RECIPES, TRANSFER
from apps.classify.settings import LearningOptions, Settings
from apps.shared.freezing import frozen_part
from apps.shared.optimizer import parameter_groups
from apps.shared.options import group, parse_options
from minidl import nn
from minidl.data import transforms
from minidl.errors import MinidlError
from tests.apps.conftest import open_data


def settings(**given):
    return from_command_line(parse_options(Settings, {"model": "lenet", **given}))


def plan_of(net, chosen, fresh=()):
    learning = group(chosen, LearningOptions)
    return make_plan(net, models.entry(chosen.model), chosen.mode, learning, fresh)


# --- defaults -----------------------------------------------------------------------------------


def test_defaults_follow_the_mode():
    scratch = settings()
    finetune = settings(mode="finetune", weights="w")
    frozen = settings(mode="frozen", weights="w")
    assert (scratch.lr, finetune.lr, frozen.lr) == pytest.approx((0.03, 0.003, 0.03))
    assert (scratch.fresh_lr_mult, finetune.fresh_lr_mult, frozen.fresh_lr_mult) == (1, 10, 1)
    assert (scratch.augment, finetune.augment, frozen.augment) == ("standard", "standard", "none")
    assert frozen.cache and not scratch.cache and not finetune.cache
    assert not settings(mode="frozen", weights="w", augment="flip").cache
    assert not settings(mode="frozen", weights="w", mixup=0.2).cache
    later = settings(mode="frozen", weights="w", unfreeze_after=2)
    assert later.cache and later.augment == "standard"  # for the time after
    assert settings(mode="finetune", weights="w", optimizer="adam").lr == pytest.approx(1e-4)


@pytest.mark.parametrize("model", ["efficientnet_lite0", "squeezenet"])
def test_networks_that_know_imagenet_have_their_own_defaults(model):
    weights = {"model": model, "data": "photos", "weights": "w"}
    scratch, frozen = settings(model=model, data="photos"), settings(mode="frozen", **weights)
    assert (scratch.epochs, scratch.optimizer, scratch.lr) == (30, "sgd", 0.01)
    usual = TRANSFER[model, "frozen"]
    assert all(getattr(frozen, name) == value for name, value in usual.items())
    assert frozen.cache and frozen.augment == "none" and frozen.recipe is PHOTOS
    tuned = settings(mode="finetune", **weights)
    usual = TRANSFER[model, "finetune"]
    assert all(getattr(tuned, name) == value for name, value in usual.items())
    assert tuned.fresh_lr_mult == 10 and tuned.augment == "standard"


def test_what_is_typed_counts_more_than_the_defaults_of_a_network():
    weights = {"model": "efficientnet_lite0", "data": "photos", "weights": "w"}
    frozen = settings(mode="frozen", epochs=3, lr=0.5, **weights)
    assert (frozen.epochs, frozen.optimizer, frozen.lr) == (3, "adamw", 0.5)
    other = settings(mode="frozen", optimizer="adam", **weights)
    assert (other.epochs, other.lr, other.weight_decay) == (20, 1e-3, 0.0)
    tuned = settings(mode="finetune", optimizer="sgd", **weights)
    assert (tuned.lr, tuned.momentum, tuned.warmup) == (pytest.approx(0.001), 0.9, 1.0)
    # These are for a last layer alone.
    deeper = settings(mode="frozen", train_from="blocks.11", **weights)
    assert (deeper.lr, deeper.weight_decay) == (0.01, 5e-4)
    fresh = settings(mode="frozen", fresh=("blocks.15",), **weights)
    assert (fresh.lr, fresh.weight_decay) == (0.01, 5e-4)
    # The rate rises in an eighth of a short run, and not before a plateau.
    assert settings(mode="finetune", epochs=2, **weights).warmup == 0.25
    assert settings(mode="finetune", schedule="plateau", **weights).warmup == 0


def test_large_pictures_of_other_data_have_their_own_recipe():
    assert settings(data="somewhere").recipe is OTHER_DATA
    assert settings(model="vgg16", data="somewhere").recipe is PHOTOS
    assert settings(model="vgg16", data="somewhere", size=64).recipe is OTHER_DATA
    assert settings(model="vgg16", data="cifar10").recipe is RECIPES["cifar10"]
    photos = settings(model="vgg16", data="somewhere")
    assert (photos.epochs, photos.batch_size, photos.lr) == (30, 32, 0.01)


def test_keep():
    assert settings().keep == "last" and settings(early_stopping=3).keep == "best"
    assert settings(early_stopping=3, keep="last").keep == "last"


# --- augmentation -------------------------------------------------------------------------------

PLAIN = transforms.Compose(
    [transforms.ToRGB(), transforms.Resize(32), transforms.CenterCrop(32), transforms.ToFloat(),
     transforms.Normalize([0.5], [0.25])]
)  # fmt: skip


@pytest.mark.parametrize(
    "name, names",
    [
        ("none", []),
        ("flip", ["RandomHorizontalFlip"]),
        ("shift", ["RandomCrop"]),
        ("shift-flip", ["RandomCrop", "RandomHorizontalFlip"]),
        ("erase", ["RandomCrop", "RandomHorizontalFlip", "RandomErasing"]),
        ("crop", ["RandomResizedCrop", "RandomHorizontalFlip"]),
        ("color", ["RandomResizedCrop", "RandomHorizontalFlip", "ColorJitter", "PCALighting"]),
    ],
)
def test_augmentations(name, names):
    pipeline, changes = augmented(PLAIN, name, OTHER_DATA, 32, 3)
    assert [type(step).__name__ for step in changes] == names
    image = np.random.default_rng(0).integers(0, 256, (50, 40, 3)).astype(np.uint8)
    seen = {pipeline(image, np.random.default_rng(i)).tobytes() for i in range(20)}
    assert pipeline(image, np.random.default_rng(0)).shape == (3, 32, 32)
    assert len(seen) == {"none": 1, "flip": 2, "shift": len(seen)}.get(name, 20)
    assert name != "shift" or 10 <= len(seen) <= 25  # 5 x 5 places
    kinds = [type(step).__name__ for step in pipeline.transforms]
    assert kinds[0] == "ToRGB" and kinds[-1] == "Normalize"
    assert ("Resize" in kinds) == ("RandomResizedCrop" not in kinds)  # a part of the whole picture
    if "PCALighting" in kinds:
        assert kinds.index("ToFloat") < kinds.index("PCALighting") < kinds.index("Normalize")


def test_standard_augmentation_is_the_recipe():
    def kinds(recipe):
        return [type(step).__name__ for step in augmented(PLAIN, "standard", recipe, 32, 3)[1]]

    assert kinds(RECIPES["mnist"]) == ["RandomCrop"]
    assert kinds(RECIPES["cifar10"]) == ["RandomCrop", "RandomHorizontalFlip"]
    assert kinds(PHOTOS) == ["RandomResizedCrop", "RandomHorizontalFlip"]
    assert augmented(PLAIN, "standard", PHOTOS, 32, 3)[1][0].scale == AREA


def test_shift_flip_moves_by_an_eighth_whatever_the_recipe():
    for recipe in (RECIPES["mnist"], OTHER_DATA, PHOTOS):
        assert augmented(PLAIN, "shift-flip", recipe, 32, 3)[1][0].padding == (4, 4)
        assert augmented(PLAIN, "shift-flip", recipe, 64, 3)[1][0].padding == (8, 8)


def test_what_is_erased_becomes_the_mean():
    for channels, mean in ((3, [0.5, 0.4, 0.2]), (1, [0.25]), (3, [0.25])):
        last = transforms.Normalize(mean, [0.2] * len(mean))
        steps = transforms.Compose([*PLAIN.transforms[:-1], last])
        erase = augmented(steps, "erase", OTHER_DATA, 32, channels)[1][-1]
        assert erase.fill == [round(255 * value) for value in mean] * (channels // len(mean))


def test_grey_pictures_have_no_coloured_light():
    grey = transforms.Compose([transforms.Grayscale(), *PLAIN.transforms[1:]])
    pipeline, changes = augmented(grey, "color", OTHER_DATA, 32, 1)
    assert "PCALighting" not in [type(step).__name__ for step in changes]
    image = np.random.default_rng(0).integers(0, 256, (40, 40, 1)).astype(np.uint8)
    assert pipeline(image, np.random.default_rng(1)).shape == (1, 32, 32)


@pytest.mark.parametrize("augment", CHOICES)
def test_every_augmentation_makes_batches(augment):
    chosen = settings(data="digits", augment=augment, batch_size=16)
    x, labels = next(iter(make_loaders(open_data(chosen), 16, seed=0, workers=1)[0]))
    assert x.shape == (16, 1, 32, 32) and np.isfinite(x.numpy()).all()


# --- class weights ------------------------------------------------------------------------------

LABELS = np.array([0, 0, 0, 0, 1, 2, 2, 2])
CLASSES = ["cat", "my dog", "fox"]


def test_balanced_classes_count_the_same_in_all():
    factors = class_weights(["balanced"], CLASSES, LABELS)
    assert factors == pytest.approx([8 / 12, 8 / 3, 8 / 9])
    sklearn = pytest.importorskip("sklearn.utils.class_weight")
    expected = sklearn.compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    assert factors == pytest.approx(expected.tolist())


def test_class_weights_by_name_and_from_files(tmp_path):
    assert class_weights([], CLASSES, LABELS) is None
    expected = [1.0, 2.5, 0.0]
    assert class_weights(["my dog=2.5", "fox=0"], CLASSES, LABELS) == expected
    for content in (json.dumps({"my dog": 2.5, "fox": 0}), "# some\nmy dog 2.5\n\nfox 0\n"):
        (tmp_path / "weights").write_text(content)
        assert class_weights([str(tmp_path / "weights")], CLASSES, LABELS) == expected
    for texts in (["cow=1"], ["cat=0", "my dog=0", "fox=0"], ["nothing"]):
        with pytest.raises(MinidlError):
            class_weights(texts, CLASSES, LABELS)


def test_weights_and_smoothing_reach_the_loss():
    net = models.build("lenet")
    loss = make_loss(net, settings(label_smoothing=0.2), [1.0, 3.0])
    scores, labels = library.tensor([[0.0, 1.0], [2.0, 0.0]]), library.tensor([1, 0])
    expected = nn.functional.cross_entropy(
        scores, labels, library.tensor([1.0, 3.0]), label_smoothing=0.2
    )
    assert loss(scores, labels).item() == pytest.approx(expected.item())


def test_losses_of_the_networks():
    assert type(make_loss(models.build("lenet5_1998"), settings(model="lenet5_1998"))).__name__ == (
        "MapLoss"
    )
    google = models.build("googlenet", width=0.05)
    assert type(make_loss(google, settings(model="googlenet"))).__name__ == "AuxiliaryLoss"
    without = models.build("googlenet", width=0.05, aux_logits=False)
    assert type(make_loss(without, settings(model="googlenet"))).__name__ == "CrossEntropyLoss"


def test_the_report_says_what_the_training_loss_contains():
    google = models.build("googlenet", width=0.05)
    all_of_it = settings(model="googlenet", label_smoothing=0.1, mixup=0.2)
    assert loss_note(google, all_of_it, [1.0, 2.0], "validation and test") == (
        "The training loss contains label smoothing (0.1), mixup (0.2), class weights and 0.3 "
        "times the loss of each auxiliary head, that of validation and test is the plain mean "
        "cross-entropy."
    )
    heads = loss_note(google, settings(model="googlenet"), None, "the test")
    assert "contains 0.3 times" in heads and "that of the test is" in heads
    assert loss_note(google.freeze(), settings(model="googlenet"), None, "the test") == ""
    assert loss_note(models.build("lenet"), settings(), None, "the test") == ""
    old = models.build("lenet5_1998")
    assert "none of these" in loss_note(old, settings(model="lenet5_1998"), None, "the test")


# --- what learns --------------------------------------------------------------------------------


def test_factors_multiply_and_zero_freezes():
    net = models.build("lenet")
    chosen = settings(lr_mult=["features=0.1", "*.bias=2", "features.3=0"], mode="finetune",
                      weights="w")  # fmt: skip
    plan = plan_of(net, chosen, {"classifier.5.weight", "a.buffer"})
    assert plan.factors == pytest.approx({
        "features.0.weight": 0.1, "features.0.bias": 0.2, "features.3.weight": 0.0,
        "features.3.bias": 0.0, "classifier.1.weight": 1.0, "classifier.1.bias": 2.0,
        "classifier.3.weight": 1.0, "classifier.3.bias": 2.0, "classifier.5.weight": 10.0,
        "classifier.5.bias": 2.0,
    })  # fmt: skip
    plan.apply(net, 1)
    frozen = {name for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {"features.3.weight", "features.3.bias"}
    groups = parameter_groups(net, chosen, plan.factors)
    assert sum(len(group["params"]) for group in groups) == 10
    assert [group["lr_mult"] for group in groups] == pytest.approx([0.1, 0.2, 0.0, 1.0, 2.0, 10.0])


def test_alexnets_biases_learn_twice_as_fast_and_do_not_decay():
    net = models.build("alexnet", width=0.0625, num_classes=3)
    chosen = settings(model="alexnet", lr_mult=["*.bias=2"], bias_decay=False)
    groups = parameter_groups(net, chosen, plan_of(net, chosen).factors)
    assert [(g["lr_mult"], g["weight_decay"], len(g["params"])) for g in groups] == [
        (1.0, 5e-4, 8), (2.0, 0.0, 8),
    ]  # fmt: skip


def test_dropout_before_the_layer_that_learns_works():
    net = models.build("vgg11", num_classes=3, size=32, width=0.05)
    plan_of(net, settings(model="vgg11", mode="frozen", weights="w")).apply(net, 1)
    names = {module: name for name, module in net.named_modules()}
    found = [names[module] for module in frozen_part(net, library.zeros(1, 3, 32, 32))]
    assert found[0] == "features.conv1_1" and found[-1] == "classifier.fc7"
    assert "classifier.drop6" in found and "classifier.drop7" not in found


def test_averages_right_before_the_layer_that_learns_stay():
    """A norm without weights of its own has them, and belongs to the frozen part."""
    nn = library.nn
    net = nn.Sequential(
        nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2, affine=False), nn.ReLU(), nn.Dropout(),
        nn.Conv2d(2, 1, 1),
    )  # fmt: skip
    net[0].freeze()
    assert frozen_part(net, library.zeros(1, 1, 2, 2)) == [net[0], net[1]]
