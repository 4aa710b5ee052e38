"""Held-out models are those of the test split, which nothing else sees."""

from mzsane.evaluation import Study
from mzsane.populations import evaluate
from mzsane.sampling import stored_models


def test_heldout_models_are_all_of_the_test_split(cnn_store, small_sane, noise_images):
    shelf = cnn_store.architectures[0]
    images = noise_images(shelf.architecture)
    study = Study(
        {"tiny": cnn_store}, {"noise": lambda: images}, {}, methods=["heldout"], workers=1
    )
    rows = study.run(small_sane(cnn_store.d_token))
    expected = evaluate(stored_models(shelf, shelf.select("test")), images.test)
    assert sorted(row["loss"] for row in rows) == sorted(expected.loss.tolist())
    assert not set(shelf.select("test")) & set(shelf.select("validation"))
