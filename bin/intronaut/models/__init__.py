"""Design matrix, logistic, elastic net, LightGBM, cross-validation, calibration, model folder."""
