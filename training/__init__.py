"""Build-time only: training of the classifiers that are shipped in `holdfast.judges.embedded`."""
