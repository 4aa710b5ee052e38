"""What a constructor is going to be given can be asked beforehand."""

from mzsane.architectures import Architecture


def test_settings_hold_what_is_named_filled_in_and_left_at_its_default():
    named = {"nonlinearity": "relu", "width": [2, 2, 2]}
    settings = Architecture("mzsane.architectures.CNN", named, (3, 28, 32), 7).settings
    assert settings == named | {
        "channels_in": 3,
        "image_size": [28, 32],
        "classes": 7,
        "dropout": 0.0,
        "initialisation": "kaiming_uniform",
    }
