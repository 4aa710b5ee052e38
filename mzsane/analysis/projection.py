"""Embeddings in two dimensions, for maps."""

import numpy as np
from jaxtyping import Float

METHODS = ("pca", "tsne")
PERPLEXITY = 30.0
"""Neighbours that t-SNE looks at, scikit-learn's default; of few models a third."""


def project(
    embedding: Float[np.ndarray, "rows latent"], method: str, seed: int = 0
) -> tuple[Float[np.ndarray, "rows 2"], tuple[str, str]]:
    """Places on a map, and what its axes are.

    Args:
        embedding: of models.
        method: ``pca``, the two directions of largest variance; ``tsne``, t-SNE (van der Maaten
            and Hinton 2008), which shows who is near whom and no distances.
        seed: of t-SNE.

    Raises:
        ValueError: an unknown method, or fewer models than it needs.
    """
    check_method(method)
    if len(embedding) < 3:
        raise ValueError(f"map={method}: {len(embedding)} checkpoints are no map; set map=null")
    values = np.asarray(embedding, np.float64)
    return _tsne(values, seed) if method == "tsne" else _pca(values)


def check_method(method: str) -> None:
    """Refuse what cannot be drawn, before anything is computed.

    Raises:
        ValueError: an unknown method.
    """
    if method not in METHODS:
        raise ValueError(f"map={method}: choose from {', '.join(METHODS)}, or null for none")


def _pca(values: np.ndarray) -> tuple[np.ndarray, tuple[str, str]]:
    from sklearn.decomposition import PCA

    if values.shape[1] < 2:
        values = np.column_stack([values, np.zeros(len(values))])
    fitted = PCA(2, svd_solver="full")
    with np.errstate(divide="ignore", invalid="ignore"):  # shares of no variance, see below
        points = fitted.fit_transform(values)
    shares = np.nan_to_num(fitted.explained_variance_ratio_)  # of equal embeddings 0 / 0
    names = (f"component {n} ({100 * share:.0f} %)" for n, share in enumerate(shares, start=1))
    return points, tuple(names)


def _tsne(values: np.ndarray, seed: int) -> tuple[np.ndarray, tuple[str, str]]:
    from sklearn.manifold import TSNE

    perplexity = min(PERPLEXITY, (len(values) - 1) / 3)
    fitted = TSNE(2, perplexity=perplexity, init="pca", random_state=seed)
    return fitted.fit_transform(values).astype(np.float64), ("t-SNE 1", "t-SNE 2")
