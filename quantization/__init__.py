"""From fp32 model files to int8 ones: recipes, calibration, search, and what each of them costs."""
