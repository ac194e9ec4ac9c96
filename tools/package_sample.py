"""Make the packaged sample: Geant4 events, with cell energies rounded so that they fit into a package.

Run as ``python tools/package_sample.py FILE...`` with simulated ROOT files without detector response. Each becomes a
file of the same name in ``ecalnb/data/sample``, with its event keys, so that an event has the same split in both, and
with ``en3d`` reconstructed by the present parameters. Files made by this tool differ in their date from run to run:
commit them once.
"""

import argparse
import hashlib
import logging
from pathlib import Path

import numpy as np
import uproot

from ecalnb import ntuples
from ecalnb.variables import reconstructed_energy

SAMPLE = Path(__file__).parents[1] / "ecalnb" / "data" / "sample"
CELL_BITS = 11
LEVEL = 19
# The events of the first production carry no provenance in their files.
REFERENCE = {
    "engine": "geant4",
    "version": "11.4.1, geant4-pybind 0.1.3",
    "data": "reduced data sets, written from formulas",
    "volumes": "explicit fibres",
    "cut_mm": 0.1,
    "physics": "FTFP_BERT",
    "geometry": "AMS-02 ECAL",
    "detector": "ideal",
    "spectral_index": -1.0,
    "angle_rad": float(np.radians(25.0)),
    "reach_mm": 300.0,
}
ENERGIES = {"electron": [5.0, 100.0], "proton": [20.0, 400.0]}
README = """# Geant4 sample

Simulated events, packaged so that everything runs without further data. They are not AMS data, and not from AMS's own
simulation.

| file | particles | kinetic energy, GeV | physics list | volumes | events | bytes | sha256 |
|---|---|---|---|---|---|---|---|
{files}

- Simulation: {version}, physics lists put together from their constructors. Explicit fibres: a lattice of 1 mm
  fibres in lead and glue (7.05 g/cm3, 17.4 X0, 0.63 nuclear interaction lengths), range cut 0.1 mm; homogenised: the
  mean material, all deposits counted, 0.7 mm. 18 layers of 72 cells of 9 mm.
- Spectrum 1/E between two limits, within 25 degrees of the vertical, tracks enter and leave within 300 mm of the axis
  in x and y; a single energy: vertical, within 100 mm. `ecalnb info FILE` shows what a file says about itself, and
  `simulate_to_file` of this package makes the events of all but the first production again.
- Of the files with `emlike` or `qgsp` in their names events with 5 <= en3d < 100 GeV are kept. Those with `emlike` are
  of importance sampling (docs/simulation.md): each event has a weight, `ecalnb_weight`, and all weights together stand
  for the generated events in that window.
- The official Geant4 data sets were not available: the events were made with reduced ones, written from formulas
  (`ecalnb/simulation/geant4/reduced.py`): slow neutrons and light ions are good to 10-20 % in places.
- Not in them: detector response (Birks' law, attenuation in the fibres, photo-statistics, noise, thresholds, dead
  cells), any other subdetector, a magnetic field or material above the calorimeter.
- Layout: TTree `t1`, as the schema `ams` says. `edep_cell` in MeV is the energy in the fibres divided by the scale that
  gives 10 GeV for a vertical electron of 10 GeV: 0.0663 in the first production (`geant4_electrons.root` and
  `geant4_protons.root`), 0.0668 in the others; homogenised 0.955. `en3d` in GeV is the energy reconstructed under the
  electron hypothesis (docs/energy.md). `Trk_Ecal_Inci_*` is the true track at the front face (z = 0).
  `mc_interaction_depth` (not in the first production) is where a proton interacted first, empty where it did not.
- Precision: cell energies are rounded to {bits} significant bits, a relative error of at most {error:.1e}.
- `ecalnb_file_id` and `ecalnb_entry` are the keys of the events in the original files; the splits follow them.

Made by `python tools/package_sample.py FILE...` from the original files.
"""


def main() -> None:
    """Write the files and their description."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", help="simulated ROOT files without detector response")
    SAMPLE.mkdir(parents=True, exist_ok=True)
    for original in parser.parse_args().files:
        package(original, SAMPLE / original.name)
    describe()


def package(original: Path, packaged: Path) -> None:
    """Write one file of the sample, and compare it with the original."""
    events = ntuples.read(original)
    (particle,) = events.table["label"].unique()
    known = {**REFERENCE, "particle": particle, "energy_gev": ENERGIES.get(particle)}
    events.metadata.setdefault("provenance", known)
    if events.metadata["provenance"]["detector"] != "ideal":
        raise SystemExit(f"{original} has a detector response; expected ideal events")
    events.table["en3d"] = reconstructed_energy(events)
    ntuples.write(events, packaged, cell_bits=CELL_BITS, level=LEVEL, overwrite=True)
    verify(original, packaged)


def verify(original: Path, packaged: Path) -> None:
    """Compare the files branch by branch with plain uproot."""
    before, after = (uproot.open(path)["t1"].arrays() for path in (original, packaged))
    cells, rounded = (np.asarray(arrays["edep_cell"], dtype=float) for arrays in (before, after))
    hit = cells > 0
    worst = np.abs(rounded[hit] / cells[hit] - 1).max()
    if (rounded[~hit] != 0).any() or worst > 2.0**-CELL_BITS:
        raise SystemExit(
            f"{packaged}: cells differ from {original} by {worst:.2e}; expected up to {2.0**-CELL_BITS:.2e}"
        )
    for name in set(before.fields) - {"edep_cell", "en3d"}:
        if before[name].tolist() != after[name].tolist():
            raise SystemExit(f"{packaged}: {name} differs from {original}; expected the same values")
    keys, packaged_keys = (ntuples.read(path, columns=[]).table[["file_id", "entry"]] for path in (original, packaged))
    if not keys.equals(packaged_keys):
        raise SystemExit(f"{packaged}: the event keys differ from those of {original}")


def describe() -> None:
    """Write the README of all files that are there."""
    rows, made = [], set()
    for path in sorted(SAMPLE.glob("*.root")):
        content, events = path.read_bytes(), ntuples.count(path)[path]
        known = ntuples.read(path, n_max=1).metadata["provenance"]
        energy = "-".join(f"{limit:g}" for limit in dict.fromkeys(known["energy_gev"]))
        digest = hashlib.sha256(content).hexdigest()
        about = [
            f"`{path.name}`",
            f"{known['particle']}s",
            energy,
            known["physics"],
            known["volumes"],
            events,
            len(content),
            f"`{digest}`",
        ]
        rows.append(f"| {' | '.join(map(str, about))} |")
        made.add(known["version"])
    (common,) = made
    text = README.format(files="\n".join(rows), bits=CELL_BITS, error=2.0**-CELL_BITS, version=common)
    (SAMPLE / "README.md").write_text(text)


if __name__ == "__main__":
    main()
