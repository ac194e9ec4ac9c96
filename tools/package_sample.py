"""Make the packaged sample: the Geant4 reference events, with cell energies rounded so that they fit into a package.

Run as ``python tools/package_sample.py SOURCE``, where SOURCE is the directory of ``reference_electrons.root`` and
``reference_protons.root``. The event keys of these files are kept, so that an event has the same split in both.
Files made by this tool differ in their date and identifier from run to run: commit them once.
"""

import argparse
import hashlib
import logging
from pathlib import Path

import numpy as np
import uproot

from ecalnb import ntuples

SAMPLE = Path(__file__).parents[1] / "ecalnb" / "data" / "sample"
CELL_BITS = 13
LEVEL = 19
README = """# Geant4 sample

Simulated events, packaged so that everything runs without further data. They are not AMS data, and not from AMS's own
simulation.

| file | events | bytes | sha256 |
|---|---|---|---|
{files}

- Simulation: Geant4 11.4.1 through geant4-pybind 0.1.3, physics list FTFP_BERT put together from its constructors,
  range cut 0.1 mm, in an explicit lattice of 1 mm fibres in lead and glue (7.05 g/cm3, 17.4 X0, 0.63 nuclear
  interaction lengths), 18 layers of 72 cells of 9 mm.
- The official Geant4 data sets were not available: the events were made with reduced ones, written from formulas
  (bremsstrahlung below 1 GeV after Tsai, photo-electric and Rayleigh from Elam's tables, neutron and light-ion
  cross-sections good to 10-20 % in places, no nuclear levels).
- Particles: electrons of 5-100 GeV and protons of 20-400 GeV kinetic energy, both with a spectrum 1/E, within
  25 degrees of the vertical, entering and leaving within +-300 mm of the axis.
- Not in them: Birks' law, attenuation in the fibres, photo-statistics, noise, thresholds, dead cells; nor any other
  subdetector, a magnetic field or material above the calorimeter.
- Layout: TTree `t1`, as the schema `ams` says. `edep_cell` in MeV is the energy in the fibres divided by 0.0663, the
  scale that gives 10 GeV for a vertical electron of 10 GeV. `en3d` in GeV is the plain sum of the cells of the original
  files, not a reconstructed energy. `Trk_Ecal_Inci_*` is the true track at the front face (z = 0). Layers
  0, 1, 4, 5, 8, 9, 12, 13, 16, 17 measure y.
- Precision: cell energies are rounded to {bits} significant bits, a relative error of at most {error:.1e}; everything
  else is as it was.
- `ecalnb_file_id` and `ecalnb_entry` are the keys of the events in the original files; the splits follow them.

Made by `python tools/package_sample.py DIRECTORY`, with the directory of the original `reference_electrons.root` and
`reference_protons.root`.
"""


def main() -> None:
    """Write both files and their description."""
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path, help="directory of reference_electrons.root and reference_protons.root")
    source = parser.parse_args().source
    SAMPLE.mkdir(parents=True, exist_ok=True)
    rows = []
    for species in ("electrons", "protons"):
        original, packaged = source / f"reference_{species}.root", SAMPLE / f"geant4_{species}.root"
        events = ntuples.read(original)
        ntuples.write(events, packaged, cell_bits=CELL_BITS, level=LEVEL, overwrite=True)
        verify(original, packaged)
        content = packaged.read_bytes()
        rows.append(f"| `{packaged.name}` | {len(events)} | {len(content)} | `{hashlib.sha256(content).hexdigest()}` |")
    (SAMPLE / "README.md").write_text(README.format(files="\n".join(rows), bits=CELL_BITS, error=2.0**-CELL_BITS))


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
    for name in before.fields:
        if name != "edep_cell" and before[name].tolist() != after[name].tolist():
            raise SystemExit(f"{packaged}: {name} differs from {original}; expected the same values")
    keys, packaged_keys = (ntuples.read(path, columns=[]).table[["file_id", "entry"]] for path in (original, packaged))
    if not keys.equals(packaged_keys):
        raise SystemExit(f"{packaged}: the event keys differ from those of {original}")


if __name__ == "__main__":
    main()
