"""Identification of cosmic-ray nuclei from tracker, TOF and TRD; no calorimeter."""
