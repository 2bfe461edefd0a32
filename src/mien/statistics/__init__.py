"""How sure a figure is: intervals, paired tests, conformal calibration, subjects."""
