"""Tables of predictions: a row an event, written piece by piece."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from .._atomic import replacing
from .model import NucleiModel
from .ntuples import iterate_nuclei
from .sample import NucleiSample

__all__ = ["prediction_table", "write_predictions"]


def prediction_table(
    model: NucleiModel, sample: NucleiSample, *, natural: bool = True, threads: int = 2
) -> pd.DataFrame:
    """Probabilities of the classes of events.

    Parameters
    ----------
    model : NucleiModel
        The model.
    sample : NucleiSample
        The events.
    natural : bool
        Whether the probabilities are those of the natural mixture, or of the training's.
    threads : int
        Threads.

    Returns
    -------
    pandas.DataFrame
        ``file_id`` and ``entry`` (the event key), ``rigidity_inner`` and ``trk_q_inner``, a column for each class
        (``F_intact``, ``F_above_L1``, ...), and ``species`` (the most probable, all classes together).

    Raises
    ------
    ValueError
        If the natural mixture is asked for and the model does not know it.
    """
    if natural and model.natural is None:
        raise ValueError("the model does not know the natural mixture of classes; expected natural=False")
    probabilities = model.predict(sample, model.natural if natural else None, threads=threads)
    columns: dict[str, object] = {}
    if sample.keys is not None:
        columns |= {"file_id": sample.keys[:, 0], "entry": sample.keys[:, 1]}
    columns |= {name: sample.column(name) for name in ("rigidity_inner", "trk_q_inner")}
    for name, values in zip(model.classes, probabilities.T, strict=True):
        columns[name.replace(" ", "_")] = values.astype(np.float32)
    together = probabilities.reshape(len(sample), len(model.species), -1).sum(axis=2)
    columns["species"] = np.array([each.name for each in model.species])[together.argmax(axis=1)]
    return pd.DataFrame(columns)


def write_predictions(
    model: NucleiModel,
    files: str | Path | Sequence[str | Path],
    output: str | Path,
    *,
    schema: str | Path = "default",
    natural: bool = True,
    threads: int = 2,
    overwrite: bool = False,
) -> int:
    """Write `prediction_table` of files as Parquet, in memory for one piece of them at a time.

    Raises
    ------
    FileExistsError
        If the output is there and is not to be replaced.

    Returns
    -------
    int
        Events written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    output = Path(output)
    if output.exists() and not overwrite:
        raise FileExistsError(f"{output} exists; expected a new file, or overwrite=True")
    written, writer = 0, None
    with replacing(output) as temporary:
        try:
            for sample in iterate_nuclei(files, schema=schema):
                table = pa.Table.from_pandas(
                    prediction_table(model, sample, natural=natural, threads=threads), preserve_index=False
                )
                writer = writer or pq.ParquetWriter(temporary, table.schema)
                writer.write_table(table)
                written += len(sample)
        finally:
            if writer is not None:
                writer.close()
    return written
