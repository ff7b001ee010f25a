"""HER2 classes of the tumour surface after Pham et al. 2022: networks, how they are trained, and the scorer."""
