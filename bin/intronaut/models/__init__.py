"""Design matrix, logistic, elastic net, LightGBM, cross-validation, calibration, model folder."""

# of model.json; a reader refuses folders of any other
LAYOUT = 1
